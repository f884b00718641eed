"""How the program of each ORM is built, and started."""
import shutil

from languages import cached, go_cache, run
from scene import SOURCE

ORMS = SOURCE / "tests/examples/orms"


def sqlalchemy(_directory):
    return ["/usr/bin/python3", ORMS / "sqlalchemy_orm.py"]


def sqlalchemy_mysql(directory):
    return sqlalchemy(directory)


def django(_directory):
    return ["/usr/bin/python3", ORMS / "django_orm.py"]


def active_record(_directory):
    return ["/usr/bin/ruby", ORMS / "active_record.rb"]


def doctrine(_directory):
    return ["/usr/bin/php", ORMS / "doctrine.php"]


# ---- from the package managers of their languages

def node_modules(folder):
    """A copy of the folder with what its manifest asks for, made once for all tests."""
    with cached(folder) as (directory, new):
        if new:
            shutil.copytree(ORMS / folder, directory, dirs_exist_ok=True)
            run("npm", "install", "--no-audit", "--no-fund", "--silent", cwd=directory)
        return directory


def npm(_directory, name):
    return ["node", node_modules("npm") / f"{name}.js"]


def sequelize(directory):
    return npm(directory, "sequelize")


def knex(directory):
    return npm(directory, "knex")


def typeorm(directory):
    return npm(directory, "typeorm")


def drizzle(directory):
    return npm(directory, "drizzle")


def prisma(_directory):
    """With a driver of JavaScript it needs no engine, but its generator fetches one, unless it is told that there is one."""
    directory = node_modules("npm-prisma")
    settings = {"PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "DATABASE_URL": "postgresql://generated/without", "CI": "1"}
    run("npx", "prisma", "generate", "--schema", "schema.prisma", cwd=directory, env=settings)
    return ["node", directory / "prisma.js"]


def gorm(directory):
    shutil.copytree(ORMS / "go-gorm", directory, dirs_exist_ok=True)
    run("go", "build", "-o", directory / "orm", ".", cwd=directory, env={"GOFLAGS": "-mod=mod", "GOCACHE": go_cache()})
    return [directory / "orm"]


def hibernate(directory):
    shutil.copytree(ORMS / "java-hibernate", directory, dirs_exist_ok=True)
    run("mvn", "-q", "-B", "package", "dependency:copy-dependencies", "-DoutputDirectory=libraries", cwd=directory)
    return ["java", "-cp", f"{directory}/target/classes:{directory}/libraries/*", "Orm"]
