"""The binary format of components: what turns bytes into a `ComponentDef`.

Raises `MalformedError` for bytes that follow no grammar, `ValidationError` where a feature is
switched off or something has to be valid to be read, and `ResourceLimitError` for what is larger
or deeper than `limits.py` says.  See `design/mvp/Binary.md` of the Component Model.
"""

from .decoder import decode_component as decode_component
from .decoder import is_component as is_component
