import importlib.util, os, struct, sys
from importlib._bootstrap_external import _code_to_hash_pyc

root, out = sys.argv[1], sys.stdout.buffer
for folder, folders, files in os.walk(root):
    folders.sort()
    for name in sorted(files):
        if not name.endswith(".py"):
            continue
        path = os.path.join(folder, name)
        inside = os.path.relpath(path, root)
        with open(path, "rb") as file:
            source = file.read()
        try:
            code = compile(source, inside, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        made = _code_to_hash_pyc(code, importlib.util.source_hash(source), False)
        where = importlib.util.cache_from_source(inside).encode()
        out.write(struct.pack(">IQ", len(where), len(made)) + where + bytes(made))
