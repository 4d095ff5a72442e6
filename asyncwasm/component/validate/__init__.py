"""Validation of components: from definitions to the types of what they define.

The rules are those of `Explainer.md`, `Binary.md` and `CanonicalABI.md` of the Component Model.
"""

from .component import validate_component as validate_component
