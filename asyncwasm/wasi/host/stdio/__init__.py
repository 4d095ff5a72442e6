"""Standard input, output and error: where a program's bytes come from and go to.

`input_stream` and `output_stream` make a stream of whatever a user has: bytes, a file, a
callable, an async stream.  The bytes are the fakes too.
"""

from ._descriptor import DescriptorInput as DescriptorInput
from ._descriptor import DescriptorOutput as DescriptorOutput
from ._input import BytesInput as BytesInput
from ._input import CallableInput as CallableInput
from ._input import FileInput as FileInput
from ._input import InputStream as InputStream
from ._input import IteratorInput as IteratorInput
from ._make import INHERIT as INHERIT
from ._make import Inherit as Inherit
from ._make import StdinSource as StdinSource
from ._make import StdoutTarget as StdoutTarget
from ._make import input_stream as input_stream
from ._make import output_stream as output_stream
from ._output import BytesOutput as BytesOutput
from ._output import CallableOutput as CallableOutput
from ._output import FileOutput as FileOutput
from ._output import NullOutput as NullOutput
from ._output import OutputStream as OutputStream
from ._output import StreamOutput as StreamOutput
