/**
 * For PYTHON: `-c … VENV REQUIREMENTS check` ends with 0 where the virtual environment was installed whole from just these
 * requirements by just this Python, and nobody has changed anything in it since; `… keep` notes that it is so now.
 *
 * The note is written last, and in one go, so that half an installation never has it. Compiled modules do not count: they
 * come with the first import. What is installed from the clone itself without a copy goes with the clone, and is not kept.
 */
export const VENV_MARK = `
import glob, hashlib, os, sys, sysconfig
venv, requirements, task = sys.argv[1:]
mark = os.path.join(venv, "realmgate.mark")

def key():
    digest = hashlib.sha256(repr([sys.version, sys.executable, sys.prefix, sys.base_prefix]).encode())
    with open(requirements, "rb") as file:
        digest.update(file.read())
    for folder, folders, files in os.walk(venv):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for path in (os.path.join(folder, name) for name in sorted(files)):
            if path != mark:
                state = os.lstat(path)
                digest.update(repr([path, state.st_size, state.st_mtime_ns]).encode())
    return digest.hexdigest()

def needs_clone():
    packages = sysconfig.get_path("purelib", "posix_prefix", {"base": venv, "platbase": venv})
    if glob.glob(os.path.join(glob.escape(packages), "*.egg-link")):
        return True
    origins = glob.glob(os.path.join(glob.escape(packages), "*.dist-info", "direct_url.json"))
    return any('"editable": true' in open(origin).read() for origin in origins)

if task == "check":
    with open(mark) as file:
        sys.exit(0 if file.read() == key() else 1)
elif not needs_clone():
    now = key()
    with open(mark + ".new", "w") as file:
        file.write(now)
    os.replace(mark + ".new", mark)
`;
