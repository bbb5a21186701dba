"""What every section of an inventory, and every part of a playbook, is made of."""

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of a file: unknown keys are refused, values never change; an empty one is all defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _accept_nothing(cls, written: object) -> object:
        return {} if written is None else written
