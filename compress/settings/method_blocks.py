"""What only one method knows: a block in a recipe, `--set method.KEY=VALUE` on the command line."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from compress.errors import UsageError

Block = dict[str, Any]


def read_block(text: str) -> Block:
    """A method's name, or its block as a JSON object, as a block.

    Raises:
        UsageError: neither of the two.
    """
    if not text.lstrip().startswith("{"):
        return {"name": text}
    try:
        block: Block = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--method {text}: expected a JSON object ({error})") from error
    if not isinstance(block.get("name"), str):
        raise UsageError(
            f"--method {text}: expected the name of a method in each block, found "
            f"{block.get('name')!r}; write name: kd in it"
        )
    return block


def write_blocks(method: object) -> list[str]:
    """A recipe's `method:`, which is a name, a block, or a list of them, as the flag takes it."""
    several = method if isinstance(method, list) else [method]
    return [json.dumps(one) if isinstance(one, dict) else str(one) for one in several]


def set_in_blocks(methods: Sequence[str], settings: Sequence[str]) -> tuple[str, ...]:
    """The methods with what `--set` says in their blocks.

    Args:
        methods: names or blocks.
        settings: `method.KEY=VALUE`, or `method.NAME.KEY=VALUE` where there are several; values
            are YAML.

    Raises:
        UsageError: not of that form, or of no method that there is.
    """
    blocks = [read_block(text) for text in methods]
    for setting in settings:
        place, equals, text = setting.partition("=")
        names = place.split(".")
        fits = names[0] == "method" and len(names) in (2, 3) and names[-1] != "name"
        if not equals or not fits:
            raise UsageError(
                f"--set {setting}: expected method.KEY=VALUE, or method.NAME.KEY=VALUE where there "
                "are several methods; the method itself is --method"
            )
        block = _block_of(names[1] if len(names) == 3 else None, blocks, setting)
        block[names[-1]] = _value(text, setting)
    return tuple(block["name"] if len(block) == 1 else json.dumps(block) for block in blocks)


def _block_of(name: str | None, blocks: Sequence[Block], setting: str) -> Block:
    fitting = [block for block in blocks if name in (None, block["name"])]
    if len(fitting) != 1:
        found = ", ".join(str(block["name"]) for block in blocks)
        raise UsageError(
            f"--set {setting}: expected one method that it is for, found {found}; write "
            f"method.{blocks[0]['name']}.KEY=VALUE"
        )
    return fitting[0]


def _value(text: str, setting: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {setting}: expected a value, found {text!r}") from error
