"""XML from strangers: elements that know their line, and no entities."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from pipeline.annotations import text


@dataclass
class Element:
    """A tag with its text and what stands in it."""

    tag: str
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, *tags: str) -> list["Element"]:
        """The children with one of these tags."""
        return [child for child in self.children if child.tag in tags]

    def value(self, tag: str) -> str:
        """The text of the first child with this tag, stripped; empty where there is none."""
        return next((child.text.strip() for child in self.all(tag)), "")


def parse(path: Path) -> Element:
    """The root element of a file.

    A document that declares entities is refused before they are used: ten lines of them
    can ask for gigabytes.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", 0)
    stack = [top]

    def start(tag: str, _: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def words(data: str) -> None:
        stack[-1].text += data

    def entity(name: str, *_: object) -> None:
        what = "XML with entities is not read"
        raise text.Malformed(parser.CurrentLineNumber, what, f"<!ENTITY {name[:40]}")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = words, entity
    try:
        parser.Parse(path.read_bytes(), True)  # noqa: FBT003 - it takes no keyword
    except expat.ExpatError as error:
        raise text.Malformed(
            error.lineno, "not well-formed XML", expat.ErrorString(error.code)
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that does not exist
        raise text.Malformed(None, "not well-formed XML", str(error)) from error
    except OSError as error:
        raise text.Malformed(None, "file cannot be read", error.strerror or str(error)) from error
    return top.children[0]
