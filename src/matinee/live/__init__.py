"""Live ratings, and everything else that users and operators store in a running service: one SQL database.

ratings      LiveRatings, the interface to all of it
history      one user's ratings and marks, read in one query
contents     all ratings and marks, for a refit; forgotten, the forgotten users
changes      a group of writes in few statements
writer       the thread that commits groups
database     the interface of a database: sqlite, a file; postgresql, a server; patience, its network timeout
schema       the tables; migrations, updates of the tables of an older Matinee
checks       valid ids, stars and marks; dialects, the statements that differ between the two databases
"""

from matinee.live.checks import checked_id
from matinee.live.contents import LiveContents, NewMovie
from matinee.live.dialects import upsert
from matinee.live.forgotten import Forgotten
from matinee.live.history import LiveHistory
from matinee.live.ratings import FILE_NAME, LiveRatings, migrate

__all__ = [
    "FILE_NAME",
    "Forgotten",
    "LiveContents",
    "LiveHistory",
    "LiveRatings",
    "NewMovie",
    "checked_id",
    "migrate",
    "upsert",
]
