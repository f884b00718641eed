"""How the example of each language is built, and started: from Debian's packages, or from its manifest."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

from scene import EXAMPLES

JAVA_LIBRARIES = ("amqp-client", "postgresql", "jackson-core", "jackson-databind", "jackson-annotations", "slf4j-api")


def run(*command, cwd=None, env=None):
    subprocess.run(command, check=True, cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL)


def python(_directory):
    return [["/usr/bin/python3", EXAMPLES / "python" / f"{part}.py"] for part in ("producer", "consumer")]


def python_mysql(_directory):
    return [["/usr/bin/python3", EXAMPLES / "python" / f"{part}_mysql.py"] for part in ("producer", "consumer")]


def ruby(_directory):
    return [["/usr/bin/ruby", EXAMPLES / "ruby" / f"{part}.rb"] for part in ("producer", "consumer")]


def php(_directory):
    return [["/usr/bin/php", EXAMPLES / "php" / f"{part}.php"] for part in ("producer", "consumer")]


def java(directory):
    libraries = ":".join(f"/usr/share/java/{name}.jar" for name in JAVA_LIBRARIES)
    sources = sorted((EXAMPLES / "java/src/main/java").glob("*.java"))
    run("/usr/bin/javac", "-Xlint:all,-processing", "-Werror", "-cp", libraries, "-d", directory, *sources)
    return [["/usr/bin/java", "-cp", f"{directory}:{libraries}", part] for part in ("Producer", "Consumer")]


def go(directory):
    """Debian 12 has version 4 of pgx, under other names, and no module of it: so without modules, in a copy."""
    tree = directory / "src" / "shop"
    shutil.copytree(EXAMPLES / "go", tree)
    for file in tree.rglob("*.go"):
        text = file.read_text().replace("jackc/pgx/v5/pgconn", "jackc/pgconn").replace("jackc/pgx/v5", "jackc/pgx/v4")
        file.write_text(text)
    settings = {"GO111MODULE": "off", "GOPATH": f"{directory}:/usr/share/gocode", "GOCACHE": go_cache(), "GOFLAGS": ""}
    for part in ("producer", "consumer"):
        run("/usr/bin/go", "build", "-o", directory / part, f"shop/{part}", env=settings)
    return [[directory / part] for part in ("producer", "consumer")]


def cache(name):
    """A directory beside the build, so that a second run fetches and compiles nothing anew."""
    directory = pathlib.Path(os.environ["OUTBOX_TEST_CACHE"]) / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def go_cache():
    return str(cache("go"))


@contextlib.contextmanager
def cached(folder):
    """The cache of a folder beside this file, for one test at a time, and whether it is to be filled: it is new, or it was
    filled for other files than are there now."""
    directory = cache(folder)
    digest = hashlib.sha256()
    for file in sorted((pathlib.Path(__file__).parent / "orms" / folder).iterdir()):
        digest.update(file.read_bytes())
    stamp = directory / ".filled"
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new = not stamp.exists() or stamp.read_text() != digest.hexdigest()
        yield directory, new
        stamp.write_text(digest.hexdigest())


def c(_directory):
    return [[os.environ["OUTBOX_TEST_EXAMPLE_" + part]] for part in ("PRODUCER", "CONSUMER")]


def c_mysql(_directory):
    return [[os.environ["OUTBOX_TEST_EXAMPLE_MYSQL_" + part]] for part in ("PRODUCER", "CONSUMER")]


# ---- with the manifests and the languages' own package managers

def node(directory):
    shutil.copytree(EXAMPLES / "node", directory, dirs_exist_ok=True)
    run("npm", "install", "--no-audit", "--no-fund", "--silent", cwd=directory)
    return [["node", directory / f"{part}.js"] for part in ("producer", "consumer")]


def python_manifest(directory):
    run("/usr/bin/python3", "-m", "venv", directory / "venv")
    requirements = EXAMPLES / "python/requirements.txt"
    run(directory / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
    return [[directory / "venv/bin/python", EXAMPLES / "python" / f"{part}.py"] for part in ("producer", "consumer")]


def go_manifest(directory):
    shutil.copytree(EXAMPLES / "go", directory, dirs_exist_ok=True)
    settings = {"GOFLAGS": "-mod=mod", "GOCACHE": go_cache()}
    for part in ("producer", "consumer"):
        run("go", "build", "-o", directory / "bin" / part, f"./{part}", cwd=directory, env=settings)
    return [[directory / "bin" / part] for part in ("producer", "consumer")]


def java_manifest(directory):
    shutil.copytree(EXAMPLES / "java", directory, dirs_exist_ok=True)
    run("mvn", "-q", "-B", "package", "dependency:copy-dependencies", "-DoutputDirectory=libraries", cwd=directory)
    path = f"{directory}/target/classes:{directory}/libraries/*"
    return [["java", "-cp", path, part] for part in ("Producer", "Consumer")]
