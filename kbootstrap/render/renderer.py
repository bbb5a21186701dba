"""Jinja2 templates, each with one typed context; a name that the context lacks is an error, not an empty string."""

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError, select_autoescape

from kbootstrap.errors import InvalidInput
from kbootstrap.resources import folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@cache
def _environment(templates: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Reports are HTML, and names in them are escaped; all else is configuration.
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default_for_string=False, default=False),
    )
    environment.filters["json"] = json.dumps
    return environment


def render(template: str, context: "DataclassInstance") -> bytes:
    """The template (a path below templates/) filled with the fields of `context`."""
    fields: dict[str, Any] = {field.name: getattr(context, field.name) for field in dataclasses.fields(context)}
    return _environment(folder("templates")).get_template(template).render(fields).encode()


def render_text(template: str, name: str, **values: object) -> bytes:
    """A user's own template, filled with `values`. Raises InvalidInput with the place of what is wrong in it."""
    try:
        return _environment(folder("templates")).from_string(template).render(values).encode()
    except TemplateSyntaxError as error:
        raise InvalidInput(f"{name}, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise InvalidInput(f"{name}: {error.message}") from error
