"""What runs under the venv's Python, and how its source gets there.

A child is started with a short ``-c`` text and reads its modules as one JSON line on standard
input: nothing is written into the venv, and it does not matter that the node holds this code only
inside Ansible's zip. Nothing here imports torch at import time, nor the rest of torchnode.
"""

from __future__ import annotations

import json
import pkgutil

# Import statements, because Ansible's payload carries only what a statement names.
from . import (
    all_reduce,
    amdsmi,
    bandwidth,
    bits,
    compute,
    device,
    errors,
    faults,
    host_link,
    kernel_log,
    links,
    memory,
    nvml,
    nvml_counters,
    oracle,
    precisions,
    products,
    protocol,
    pulse,
    sampler,
    sampler_faults,
    sysfs,
    turn,
    worker,
)

#: Dependencies first: the child executes them in this order.
_MODULES = (
    protocol,
    turn,
    bits,
    faults,
    errors,
    precisions,
    device,
    oracle,
    products,
    compute,
    pulse,
    host_link,
    bandwidth,
    memory,
    worker,
    all_reduce,
    links,
    sysfs,
    nvml_counters,
    nvml,
    amdsmi,
    kernel_log,
    sampler_faults,
    sampler,
)

#: Runs in the child: argv[1] names the module whose main() to call.
BOOTSTRAP = """\
import json, linecache, sys, types
package = types.ModuleType("torchnode_child")
package.__path__ = []
sys.modules[package.__name__] = package
for name, source in json.loads(sys.stdin.buffer.readline()):
    module = types.ModuleType(package.__name__ + "." + name)
    module.__package__ = package.__name__
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    file = "<torchnode %s.py>" % name
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), module.__dict__)
getattr(package, sys.argv[1]).main()
"""


def payload() -> bytes:
    """The child's modules as one JSON line. Raises RuntimeError if a source cannot be read."""
    parts = []
    for module in _MODULES:
        name = module.__name__.rpartition(".")[2]
        source = pkgutil.get_data(__name__, name + ".py")
        if source is None:
            raise RuntimeError("the source of %s is not readable" % module.__name__)
        parts.append((name, source.decode("utf-8")))
    return json.dumps(parts).encode("ascii") + b"\n"
