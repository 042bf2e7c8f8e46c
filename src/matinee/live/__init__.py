"""Live ratings, and whatever else people and operators tell a running service: in one SQL database, safe once told.

ratings      LiveRatings, the face of all of it
history      what one person said, in one query
contents     what everybody said, for a refit; forgotten, of whom nothing holds any more
changes      a group of writes in few statements
writer       the thread that commits groups
database     what is asked of a database: sqlite, a file; postgresql, a server, with patience for its silence
schema       the tables; migrations, how those of an older Matinee become today's
checks       what can be stored; dialects, what the two databases want said differently
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
