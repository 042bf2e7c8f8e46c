"""The page: rate a few films, get one worth watching tonight. The server writes all HTML; scripts only bring it in.

home        /  the list, the deck of films to rate, the search
mine        /mine  one's own ratings and marks
films       /films/ID  one film; why it is in the list
rooms       /rooms/TOKEN  tonight together, and the QR code that leads there
quality     /status  how good the present snapshot is
choice      what a list is asked for: genre, decade, less known
tonight     the films of a list, and its words
cards       the films to ask about
formatting  how stars, years and genres are written
visitors    who looks at the page
cookies     what their browser keeps for it

Every part that changes without a new page is a template of its own, which the page includes and /parts/... answers.
The scripts write ratings and marks through /api/v1.
"""

from matinee.service.pages import films, formatting, home, mine, quality, rooms
from matinee.service.pages.blueprint import routes

__all__ = ["films", "formatting", "home", "mine", "quality", "rooms", "routes"]
