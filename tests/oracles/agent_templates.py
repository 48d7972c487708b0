"""What the official agent makes of the guide's templates; run by its own interpreter.

It reads templates as JSON, and prints what each became.
"""

from __future__ import annotations

import inspect
import json
import sys

import parsl.providers
import yaml
from globus_compute_endpoint.endpoint.config.utils import load_config_yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment


def provider_of(text: str) -> str:
    """The provider that a configuration starts blocks with."""
    provider = yaml.safe_load(text)["engine"]["provider"]
    kind = provider.pop("type")
    if kind == "KubernetesProvider":  # it cannot be made without a cluster's own library
        known = inspect.signature(parsl.providers.KubernetesProvider.__init__).parameters
        assert set(provider) <= set(known), set(provider) - set(known)
        return kind
    engine = load_config_yaml(text).engine
    try:
        return type(engine.executor.provider).__name__
    finally:
        engine.shutdown()


def main() -> None:
    environment = SandboxedEnvironment(undefined=StrictUndefined)
    templates = json.load(sys.stdin)
    kinds = {
        heading: provider_of(environment.from_string(template).render())
        for heading, template in templates.items()
    }
    json.dump(kinds, sys.stdout)


if __name__ == "__main__":
    main()
