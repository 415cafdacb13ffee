"""The magazine: a handful of short pieces, kept in code to spare a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Article:
    """A piece to read. ``minutes`` is the time it takes."""

    slug: str
    title: str
    author: str
    topic: str
    minutes: int
    summary: str
    paragraphs: tuple[str, ...]


ARTICLES = (
    Article(
        slug="the-harbour-clock",
        title="The harbour clock",
        author="Maren Aasland",
        topic="Places",
        minutes=6,
        summary="For ninety years a town set its watches by a clock that was wrong.",
        paragraphs=(
            "The clock on the customs house ran four minutes slow, and everybody "
            "knew. Ferries left by it, shops closed by it, and a train that came "
            "on time was said to be early.",
            "When the mechanism was replaced in spring, the new one kept perfect "
            "time. Within a week the council had eleven letters. People had missed "
            "boats. One baker had opened to an empty street.",
            "They voted to set it back. The clockmaker filed a small brass plate "
            "to fit behind the dial, where only the next clockmaker will see it: "
            "four minutes slow, on purpose.",
        ),
    ),
    Article(
        slug="notes-on-dry-stone",
        title="Notes on dry stone",
        author="Callum Reid",
        topic="Craft",
        minutes=4,
        summary="A wall without mortar stands because every stone is allowed to move.",
        paragraphs=(
            "The rule that surprised me was to never put down a stone twice. You "
            "choose, you place it, and you live with it. Turning it over and over "
            "only teaches you about your own doubt.",
            "Frost lifts the ground each winter and the wall goes up with it, then "
            "settles. Mortar would crack on the first night. A dry wall forgives "
            "the hill.",
            "Two hundred metres took us until September. The man who taught me "
            "says it will need nobody for a century, which is a strange thing to "
            "hear about your own work.",
        ),
    ),
    Article(
        slug="a-map-of-small-sounds",
        title="A map of small sounds",
        author="Noor Rahimi",
        topic="Listening",
        minutes=8,
        summary="One street, one microphone, and a year of listening before dawn.",
        paragraphs=(
            "At half past four the street has a floor: the hum of a transformer, "
            "a little under B flat. Everything else stands on it.",
            "By March I could tell the days apart. Tuesdays have glass in them. "
            "Fridays begin with a bicycle whose owner has been about to oil the "
            "chain since I moved here.",
            "I drew the map as rings, loud in the middle. It took me the summer to "
            "see that the quietest ring was the one with people in it.",
        ),
    ),
    Article(
        slug="salt-in-the-bread",
        title="Salt in the bread",
        author="Ilse Brandt",
        topic="Kitchen",
        minutes=3,
        summary="What two percent does to flour, water and patience.",
        paragraphs=(
            "Leave it out once and you will never forget it again. The dough runs, "
            "the loaf rises too fast and tastes of paper.",
            "Salt slows the yeast and tightens the gluten. Two percent of the "
            "flour, by weight, is the number on every card in every bakery I have "
            "worked in, and nobody could tell me who wrote it down first.",
        ),
    ),
    Article(
        slug="the-last-ferry-list",
        title="The last ferry list",
        author="Maren Aasland",
        topic="Places",
        minutes=5,
        summary="A purser kept every passenger list for thirty years. Then read them.",
        paragraphs=(
            "He had filled in the forms as the rules asked and kept the carbon "
            "copies, which the rules did not ask.",
            "Read one after another they turned into stories. A name that crossed "
            "every Friday, then with a second name, then with a third and a pram. "
            "A name that crossed once, at night, one way.",
            "The archive offered to scan them. He said yes to all but one box.",
        ),
    ),
    Article(
        slug="the-lamp-room",
        title="The lamp room",
        author="Noor Rahimi",
        topic="Listening",
        minutes=7,
        summary="What a lighthouse sounds like, now that nobody keeps it.",
        paragraphs=(
            "The lens floats in a bath of mercury and turns at a finger's push. It "
            "makes no sound at all, which is the first thing everybody remarks on.",
            "What you hear is the building. Iron warms from the east in the "
            "morning and ticks its way around, so that with your eyes shut you can "
            "tell the hour to within a quarter.",
            "The last keeper told me he slept badly ashore for years. It was not "
            "the quiet. It was that the quiet never moved.",
        ),
    ),
    Article(
        slug="how-to-keep-a-garden-book",
        title="How to keep a garden book",
        author="Tove Lindqvist",
        topic="Craft",
        minutes=4,
        summary="Write down the weather, the failures, and one thing you noticed.",
        paragraphs=(
            "Keep it by the door, with the pencil tied on. A book on a shelf is a "
            "book about last year.",
            "The failures are the useful part. I have grown leeks in four places "
            "and the book knows which three to avoid.",
            "End each day with one thing you noticed that was nobody's doing. In "
            "ten years it is the only line you will want to read.",
        ),
    ),
)

BY_SLUG = {article.slug: article for article in ARTICLES}
