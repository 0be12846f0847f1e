"""XML that somebody else made, read with care."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from shared.errors import UserError, sentence_of


def read_xml(file: Path) -> ElementTree.Element:
    """The root of an XML file; UserError if it is none, or has a DOCTYPE, whose entities could grow without end."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {sentence_of(error)}") from error
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", content, re.IGNORECASE):
        raise UserError(f"{file} has a DOCTYPE, which could grow without end: leave it out.")
    try:
        return ElementTree.fromstring(content)  # without a DOCTYPE there are no entities to expand
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{file} is no XML that can be read: {error}.") from error
