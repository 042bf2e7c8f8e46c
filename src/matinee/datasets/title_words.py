"""Title words: those that sources write in several ways, or leave out."""

from __future__ import annotations

import re

# fmt: off
LETTERS = str.maketrans({
    "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "&": " and ", "+": " and ", "@": " at ",
    "\u2019": "'", "\u02bb": "'", "`": "'",
})
PRESENTERS = frozenset({
    "marvel", "marvel studios", "disney", "walt disney", "pixar", "dreamworks", "national lampoon", "monty python",
    "william shakespeare", "bram stoker", "mary shelley", "tim burton", "tyler perry", "lee daniels", "john carpenter",
    "wes craven", "clive barker", "stephen king", "roald dahl", "dr seuss", "jane austen", "charles dickens",
    "agatha christie", "guillermo del toro", "quentin tarantino", "george a romero", "alfred hitchcock", "jim henson",
})
ROMAN = {word: str(n) for n, word in enumerate(
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii"), 1)}
UNITS = {word: n for n, word in enumerate(
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
     "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"), 1)}
TENS = {word: 10 * n for n, word in enumerate(
    ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)}
COUNTED = frozenset({"part", "pt", "vol", "volume", "chapter", "episode", "number", "no"})  # before a number
ARTICLES = frozenset({"the", "a", "an"})
DESCRIBING = frozenset({
    "story", "stories", "tale", "life", "lives", "legend", "history", "biography", "chronicle", "memoir", "portrait",
    "movie", "film", "picture", "documentary", "musical", "comedy", "mystery", "romance", "fable", "novel", "true",
    "cut", "edition", "version", "remastered", "restored", "uncut", "redux", "imax", "3d",
})
DESCRIBING_FIRST = frozenset({"a", "an", "or", "aka", "based", "how", "adapted"})
OMITTED = ARTICLES | {"and"}
AMERICAN = {
    "theatre": "theater", "centre": "center", "grey": "gray", "metre": "meter", "sabre": "saber", "spectre": "specter",
    "lustre": "luster", "sceptre": "scepter", "defence": "defense", "offence": "offense", "licence": "license",
    "practise": "practice", "jewellery": "jewelry", "traveller": "traveler", "travellers": "travelers",
    "travelling": "traveling", "marvellous": "marvelous", "pyjamas": "pajamas", "pyjama": "pajama",
    "moustache": "mustache", "programme": "program", "catalogue": "catalog", "dialogue": "dialog", "plough": "plow",
    "aeroplane": "airplane", "cheque": "check", "judgement": "judgment", "gaol": "jail", "whisky": "whiskey",
    "mum": "mom", "vs": "5", "versus": "5", "dr": "doctor", "mr": "mister", "mrs": "missus", "st": "saint",
    "mt": "mount", "jr": "junior", "sgt": "sergeant", "capt": "captain", "lt": "lieutenant", "prof": "professor",
    "okay": "ok", "thru": "through", "nite": "night", "xmas": "christmas", "until": "till", "til": "till",
}
# fmt: on
"""British spelling and abbreviations; "v", as a Roman numeral, is 5, and so are its longer forms."""

OUR = re.compile(
    r"^(col|hon|neighb|fav|hum|rum|arm|harb|lab|parl|savi|vap|behavi|glam|od|val|vig|flav|endeav|clam|splend|tum)our"
)
ISE = re.compile(r"is(e[drs]?|ing|ation)$")
