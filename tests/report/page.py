"""A page taken apart."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Page(HTMLParser):
    """Elements, texts by section, headings, and what does not nest."""

    tags: list = field(default_factory=list)
    text: dict = field(default_factory=dict)
    ids: list = field(default_factory=list)
    scripts: list = field(default_factory=list)
    _open: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self._open.append((tag, attributes.get("id") if tag == "section" else None))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1][0] == tag, f"<{self._open[-1][0]}> is closed by </{tag}>"
        self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1][0] == "script":
            self.scripts.append(data)
            return
        section = next((name for _, name in reversed(self._open) if name), "")
        self.text[section] = self.text.get(section, "") + data

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def payload(self):
        return json.loads(self.scripts[0])

    @property
    def words(self):
        return {name: " ".join(text.split()) for name, text in self.text.items()}


def parse(path):
    page = Page()
    page.feed(path.read_text("utf-8"))
    page.close()
    assert not page._open
    return page
