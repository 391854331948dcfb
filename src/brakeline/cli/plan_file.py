"""Files that people write plans into: YAML, or JSON where it begins with a brace. What they mean is `rollout.plans`.

No tags, no aliases (a few lines could stand for gigabytes), no key twice, no `6:15` that would quietly be 375.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brakeline.core.errors import Invalid

PLAN_BYTES_MAX = 64 * 1024  # a plan is read by people


def read_plan(path: Path) -> Any:
    """What the file says, as plain values. `Invalid` says where it cannot be read."""
    try:
        data = path.read_bytes()
        if len(data) > PLAN_BYTES_MAX:
            raise Invalid(f"{path} is no policy file: more than {PLAN_BYTES_MAX} bytes")
        text = data.decode()
        return json.loads(text) if text.lstrip().startswith("{") else _yaml(text, path)
    except (OSError, ValueError) as e:
        raise Invalid(f"{path} is no policy file: {e}") from None


def _yaml(text: str, path: Path) -> Any:
    import yaml  # a few verbs need it; every other one starts without

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
        """Strict where YAML is generous."""

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        loader.flatten_mapping(node)
        pairs = [(loader.construct_object(k, deep=True), loader.construct_object(v, deep=True)) for k, v in node.value]
        keys = [k for k, _ in pairs]
        if twice := [k for k in keys if keys.count(k) > 1]:
            raise Invalid(f"{path}, line {node.start_mark.line + 1}: the key {str(twice[0])[:40]!r} stands there twice")
        return dict(pairs)

    def number(loader: Any, node: Any) -> Any:
        if ":" in node.value:
            raise Invalid(f"{path}: write 6 h 15 min, not {node.value[:20]!r}: YAML reads that as a number to base 60")
        return loader.construct_yaml_int(node)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", number)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise Invalid(f"{path}: a plan has no aliases (*name); write it out")
        return yaml.load(text, Loader=Loader)  # noqa: S506  a SafeLoader, stricter still
    except yaml.YAMLError as e:
        raise Invalid(f"{path} is no policy file: {e}") from None
