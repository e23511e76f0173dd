"""Sources, and what migrates in them: `start-up path:line what`, with a question mark where that is only likely."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True)
class Case:
    """One source."""

    name: str
    files: dict[str, str]
    #: None is expected of a false alarm.
    expected: tuple[str, ...]


def case(name: str, files: dict[str, str], *expected: str) -> Case:
    return Case(name, {path: dedent(text).lstrip("\n") for path, text in files.items()}, expected)


LIFESPAN = """
    from contextlib import asynccontextmanager
    from alembic import command
    from alembic.config import Config
    from fastapi import FastAPI

    @asynccontextmanager
    async def lifespan(app):
        command.upgrade(Config("alembic.ini"), "head")
        yield

    app = FastAPI(lifespan=lifespan)
"""

FOUND = (
    # Python
    case("alembic in a lifespan", {"app/main.py": LIFESPAN}, "start-up app/main.py:8 command.upgrade"),
    case(
        "alembic under other names",
        {
            "app/db.py": """
                import alembic.command as steps
                from alembic.command import upgrade as up
                import alembic

                steps.upgrade(config, "head")
                up(config, "head")
                alembic.command.upgrade(config, "head")
            """
        },
        "start-up app/db.py:5 command.upgrade",
        "start-up app/db.py:6 command.upgrade",
        "start-up app/db.py:7 command.upgrade",
    ),
    case(
        "in a function that another one calls at start",
        {
            "service/factory.py": """
                def bring_up():
                    from flask_migrate import upgrade
                    upgrade()

                def create_app():
                    bring_up()
            """
        },
        "start-up service/factory.py:3 flask_migrate.upgrade",
    ),
    case(
        "handed to a thread",
        {
            "app/start.py": """
                import asyncio
                from alembic import command

                async def on_startup():
                    await asyncio.to_thread(command.upgrade, CONFIG, "head")
            """
        },
        "start-up app/start.py:5 command.upgrade",
    ),
    case(
        "in a function that nobody here calls",
        {"app/db.py": "from alembic import command\ndef migrate():\n    command.upgrade(C, 'head')\n"},
        "start-up? app/db.py:3 command.upgrade",
    ),
    case(
        "as a handler of an event",
        {
            "app/web.py": """
                from fastapi import FastAPI
                from app.models import Base

                def make_tables():
                    Base.metadata.create_all(bind=engine)

                app = FastAPI(on_startup=[make_tables])
            """
        },
        "start-up app/web.py:5 create_all",
    ),
    case(
        "create_all through a connection",
        {
            "app/main.py": """
                @app.on_event("startup")
                async def begin():
                    async with engine.begin() as connection:
                        await connection.run_sync(SQLModel.metadata.create_all)
            """
        },
        "start-up app/main.py:4 create_all",
    ),
    case(
        "Flask-SQLAlchemy's object",
        {
            "app.py": """
                from flask_sqlalchemy import SQLAlchemy
                database = SQLAlchemy(app)
                with app.app_context():
                    database.create_all()
            """
        },
        "start-up app.py:4 create_all",
    ),
    case(
        "a program that is started from code",
        {
            "app/__init__.py": """
                import os
                import subprocess as sp
                sp.run(["alembic", "-c", "backend/alembic.ini", "upgrade", "head"], check=True)
                os.system("cd backend && alembic upgrade head")
                sp.check_call(f"alembic -x url={URL} upgrade head", shell=True)
                sp.Popen(args=[sys.executable, "-m", "alembic", "-c", CONFIG, "upgrade", revision])
            """
        },
        "start-up app/__init__.py:3 alembic upgrade",
        "start-up app/__init__.py:4 alembic upgrade",
        "start-up app/__init__.py:5 alembic upgrade",
        "start-up app/__init__.py:6 alembic upgrade",
    ),
    case(
        "Alembic's own command line",
        {"app/run.py": 'from alembic.config import main\nmain(argv=["--raiseerr", "upgrade", "head"])\n'},
        "start-up app/run.py:2 alembic upgrade",
    ),
    case(
        "before it serves",
        {
            "server.py": """
                import uvicorn
                from alembic import command

                def main():
                    command.upgrade(CONFIG, "head")
                    uvicorn.run("app:app")

                if __name__ == "__main__":
                    main()
            """
        },
        "start-up server.py:5 command.upgrade",
    ),
    case(
        "a script that somebody calls",
        {"scripts/init_db.py": "from app import Base, engine\nBase.metadata.create_all(engine)\n"},
        "by hand? scripts/init_db.py:2 create_all",
    ),
    case(
        "a script that the container calls",
        {
            "scripts/init_db.py": "from app import Base, engine\nBase.metadata.create_all(engine)\n",
            "Dockerfile": 'FROM python:3.13\nCMD ["sh", "-c", "python scripts/init_db.py && gunicorn app:app"]\n',
        },
        "start-up scripts/init_db.py:2 create_all",
    ),
    case(
        "a module that the container calls",
        {
            "src/clinic/migrate.py": """
                from alembic import command
                if __name__ == "__main__":
                    command.upgrade(CONFIG, "head")
            """,
            "Procfile": "web: python -m clinic.migrate && gunicorn clinic:app\n",
        },
        "start-up src/clinic/migrate.py:3 command.upgrade",
    ),
    case(
        "a command of the project's own",
        {
            "app/cli.py": """
                import click
                from alembic import command

                @click.command()
                def upgrade():
                    command.upgrade(CONFIG, "head")
            """
        },
        "by hand? app/cli.py:6 command.upgrade",
    ),
    # C#
    case(
        "Program.cs",
        {
            "src/Api/Program.cs": """
                var app = builder.Build();
                using (var scope = app.Services.CreateScope())
                {
                    scope.ServiceProvider.GetRequiredService<ClinicContext>().Database.Migrate();
                }
                await app.ApplyMigrationsAsync();
                app.Run();
            """
        },
        "start-up src/Api/Program.cs:4 Database.Migrate()",
        "start-up src/Api/Program.cs:6 ApplyMigrations()",
    ),
    case(
        "an extension method",
        {
            "src/Api/MigrationExtensions.cs": """
                public static class MigrationExtensions
                {
                    public static async Task ApplyMigrations(this IApplicationBuilder app)
                    {
                        await context
                            .Database
                            .MigrateAsync();
                        context.Database.EnsureCreated();
                    }
                }
            """
        },
        "start-up? src/Api/MigrationExtensions.cs:7 Database.MigrateAsync()",
        "start-up? src/Api/MigrationExtensions.cs:8 EnsureCreated",
    ),
    # containers
    case(
        "a CMD in shell form",
        {"Dockerfile": "FROM python:3.13\nCMD alembic upgrade head && uvicorn app:app\n"},
        "start-up Dockerfile:2 alembic upgrade",
    ),
    case(
        "an ENTRYPOINT in JSON form over several lines",
        {
            "deploy/api.Dockerfile": 'FROM x\nENTRYPOINT ["sh", "-c", \\\n"flask --app c db upgrade; gunicorn c:app"]\n'
        },
        "start-up deploy/api.Dockerfile:2 flask db upgrade",
    ),
    case(
        "an entry point, found by the image",
        {
            "Dockerfile": 'FROM x\nCOPY docker/serve.sh /usr/local/bin/\nENTRYPOINT ["/usr/local/bin/serve.sh"]\n',
            "docker/serve.sh": "#!/bin/sh\nset -e\npoetry run alembic upgrade head\nexec uvicorn app:app\n",
        },
        "start-up docker/serve.sh:3 alembic upgrade",
    ),
    case(
        "a script that the entry point calls",
        {
            "docker-entrypoint.sh": '#!/bin/bash\n./scripts/migrate.sh\nexec "$@"\n',
            "scripts/migrate.sh": "#!/bin/bash\npython -m alembic \\\n    -c backend/a.ini \\\n    upgrade head\n",
        },
        "start-up scripts/migrate.sh:2 alembic upgrade",
    ),
    case(
        "an entry point by its name, without a suffix",
        {"entrypoint": '#!/usr/bin/env bash\nif [ "$MIGRATE" = 1 ]; then alembic upgrade heads; fi\n'},
        "start-up? entrypoint:2 alembic upgrade",
    ),
    case(
        "an entry point that the image only handles",
        {
            "Dockerfile": "FROM x\nCOPY start.sh /\nRUN chmod +x /start.sh && ls /start.sh\n",
            "start.sh": "alembic upgrade head\n",
        },
        "start-up? start.sh:1 alembic upgrade",
    ),
    case(
        "Compose",
        {
            "docker-compose.yml": """
                services:
                  api:
                    image: clinic
                    command: >
                      bash -c "alembic upgrade head && uvicorn app:app"
                  worker:
                    image: clinic
                    entrypoint: ["dotnet", "ef", "database", "update"]
            """
        },
        "start-up docker-compose.yml:5 alembic upgrade",
        "start-up docker-compose.yml:8 dotnet ef database update",
    ),
    case(
        "Compose with a service that ends",
        {
            "compose.yaml": """
                services:
                  migrate:
                    image: clinic
                    command: alembic upgrade head
                  api:
                    image: clinic
                    depends_on:
                      migrate: {condition: service_completed_successfully}
            """
        },
        "deployment compose.yaml:4 alembic upgrade",
    ),
    case(
        "a Procfile",
        {"Procfile": "release: flask db upgrade\nweb: alembic upgrade head && gunicorn app:app\n"},
        "deployment Procfile:1 flask db upgrade",
        "start-up Procfile:2 alembic upgrade",
    ),
    case(
        "an init container",
        {
            "k8s/api.yaml": """
                apiVersion: apps/v1
                kind: Deployment
                spec:
                  template:
                    spec:
                      initContainers:
                        - name: migrate
                          image: clinic
                          command: ["alembic"]
                          args: ["upgrade", "head"]
                      containers:
                        - name: api
                          image: clinic
                          command: ["uvicorn", "app:app"]
            """
        },
        "start-up k8s/api.yaml:9 alembic upgrade",
    ),
    case(
        "a Job of Kubernetes, and a chart's",
        {
            "k8s/job.yaml": """
                kind: Job
                spec: {template: {spec: {containers: [{name: m, command: [alembic, upgrade, head]}]}}}
            """,
            "chart/templates/deployment.yaml": """
                kind: Deployment
                metadata:
                  name: {{ .Release.Name }}
                spec:
                  command: ["sh", "-c", "alembic upgrade head"]
            """,
        },
        "deployment k8s/job.yaml:2 alembic upgrade",
        "start-up? chart/templates/deployment.yaml:5 alembic upgrade",
    ),
    case(
        "a task definition of Amazon ECS",
        {
            "infra/task.json": """
                {
                  "family": "clinic",
                  "containerDefinitions": [
                    {
                      "name": "api",
                      "command": ["sh", "-c", "alembic upgrade head && uvicorn app:app"]
                    }
                  ]
                }
            """
        },
        "start-up infra/task.json:6 alembic upgrade",
    ),
    case(
        "GitHub Actions",
        {
            ".github/workflows/deploy.yml": """
                jobs:
                  deploy:
                    runs-on: ubuntu-latest
                    steps:
                      - name: Migrate
                        run: |
                          pip install -r requirements.txt
                          alembic upgrade head
            """
        },
        "deployment .github/workflows/deploy.yml:8 alembic upgrade",
    ),
    case(
        "GitLab",
        {
            ".gitlab-ci.yml": "migrate:\n  stage: deploy\n  script:\n    - dotnet ef database update --project Api\n"
        },
        "deployment .gitlab-ci.yml:4 dotnet ef database update",
    ),
    case(
        "Jenkins, and an image that is migrated as it is built",
        {
            "Jenkinsfile": "steps {\n  sh 'alembic upgrade head'\n  sh(script: \"flask db upgrade\")\n}\n",
            "Dockerfile": "FROM x\nRUN <<END\nset -e\nalembic upgrade head\nEND\n",
        },
        "deployment? Jenkinsfile:2 alembic upgrade",
        "deployment? Jenkinsfile:3 flask db upgrade",
        "deployment Dockerfile:4 alembic upgrade",
    ),
    case(
        "a prestart service, as FastAPI's template has it",
        {
            "scripts/prestart.sh": "#! /usr/bin/env bash\nset -e\nalembic upgrade head\npython app/initial_data.py\n",
            "docker-compose.yml": """
                services:
                  prestart: {command: bash scripts/prestart.sh}
                  backend:
                    depends_on: {prestart: {condition: service_completed_successfully}}
            """,
        },
        "deployment scripts/prestart.sh:3 alembic upgrade",
    ),
    case(
        "a Makefile",
        {"Makefile": "db:\n\t@docker compose exec api alembic upgrade head\n"},
        "by hand Makefile:2 alembic upgrade",
    ),
)

FALSE_ALARMS = (
    case(
        "tests make their tables",
        {
            "tests/conftest.py": "from app import Base, engine\nBase.metadata.create_all(engine)\n",
            "app/test_models.py": "from app import Base, engine\nBase.metadata.create_all(engine)\n",
            "conftest.py": "from alembic import command\ncommand.upgrade(CONFIG, 'head')\n",
        },
    ),
    case(
        "comments, docstrings and texts",
        {
            "app/main.py": '''
                """Run `alembic upgrade head` first.

                    command.upgrade(config, "head")
                """
                # command.upgrade(config, "head")
                # Base.metadata.create_all(engine)
                HINT = "alembic upgrade head"
                print("Not migrated: run alembic upgrade head, or metadata.create_all")
            '''
        },
    ),
    case(
        "the migrations and env.py themselves",
        {
            "alembic/env.py": """
                from alembic import context
                from alembic import command
                command.upgrade(context.config, "head")
                target_metadata.create_all(engine)
            """,
            "alembic/versions/a1.py": """
                revision = "a1"
                down_revision = None
                def upgrade():
                    Base.metadata.create_all(op.get_bind())
            """,
        },
    ),
    case(
        "other things of these names",
        {
            "app/shop.py": """
                from shop import command, subscription
                command.upgrade("pro")
                subscription.upgrade()
                upgrade(plan)
                factory.create_all(3)
                self.buttons.create_all()
            """
        },
    ),
    case(
        "SQL that is only written",
        {
            "deploy.sh": "alembic upgrade head --sql > upgrade.sql\n",
            "app/sql.py": 'from alembic import command\ncommand.upgrade(CONFIG, "head", sql=True)\n',
        },
    ),
    case(
        "Alembic's other commands",
        {
            "entrypoint.sh": """
                #!/bin/sh
                alembic current
                alembic -c upgrade.ini check
                alembic downgrade base
                pip install --upgrade alembic
            """,
            "app/check.py": "from alembic import command\ncommand.check(CONFIG)\ncommand.current(CONFIG)\n",
        },
    ),
    case(
        "what a script says and searches",
        {
            "start.sh": """
                #!/bin/sh
                # alembic upgrade head
                echo "Run alembic upgrade head first" # alembic upgrade head
                grep -q 'alembic upgrade' README.md
                cat <<'END'
                alembic upgrade head
                END
                exec uvicorn app:app
            """
        },
    ),
    case(
        "documentation",
        {
            "README.md": "```sh\nalembic upgrade head\n```\n",
            "docs/deploy.rst": "    flask db upgrade\n",
            "NOTES.txt": "dotnet ef database update\n",
        },
    ),
    case(
        "a pipeline that tests on a database of its own",
        {
            ".github/workflows/ci.yml": """
                jobs:
                  test:
                    steps: [{run: alembic upgrade head}]
                  publish:
                    env: {HINT: alembic upgrade head}
                    steps: [{name: alembic upgrade head, run: twine upload}]
                  build:
                    services: {postgres: {image: "postgres:17"}}
                    steps: [{run: alembic upgrade head}]
            """,
            ".gitlab-ci.yml": "integration:\n  stage: test\n  script: [alembic upgrade head]\n",
            "docker-compose.test.yml": "services: {api: {command: alembic upgrade head}}\n",
        },
    ),
    case(
        "C# that migrates nothing",
        {
            "src/Api/Program.cs": """
                // context.Database.Migrate();
                /* await app.ApplyMigrations(); */
                var hint = "call context.Database.Migrate() by hand";
                var other = @"app.ApplyMigrations(""now"")";
                migrator.Migrate();
                var pending = context.Database.GetPendingMigrations();
            """,
            "src/Api/Migrations/20260101_Init.cs": """
                public partial class Init : Migration { void Up() { context.Database.Migrate(); } }
            """,
            "src/Api.Tests/ApiTests.cs": "context.Database.Migrate();\n",
            "tests/Fixture.cs": "context.Database.EnsureCreated();\n",
        },
    ),
    case(
        "a container's other lines",
        {
            "Dockerfile": """
                FROM python:3.13
                # CMD alembic upgrade head
                LABEL usage="alembic upgrade head"
                RUN pip install --upgrade alembic
                HEALTHCHECK CMD alembic current
                CMD ["uvicorn", "app:app"]
            """,
            "compose.yaml": """
                services:
                  api:
                    # command: alembic upgrade head
                    environment: {HINT: alembic upgrade head}
                    labels: ["usage=alembic upgrade head"]
                    command: uvicorn app:app
            """,
            "k8s/api.yaml": "kind: Deployment\nmetadata: {annotations: {usage: alembic upgrade head}}\n",
        },
    ),
    case(
        "other people's code",
        {
            "node_modules/x/start.sh": "alembic upgrade head\n",
            "vendor/y/entrypoint.sh": "alembic upgrade head\n",
            "py/lib/python3.13/site-packages/z.py": "from alembic import command\ncommand.upgrade(C, 'head')\n",
            "myenv/pyvenv.cfg": "home = /usr\n",
            "myenv/start.sh": "alembic upgrade head\n",
            ".git/hooks/post-merge": "#!/bin/sh\nalembic upgrade head\n",
        },
    ),
    case(
        "code that never runs",
        {
            "app/types.py": """
                from typing import TYPE_CHECKING
                from alembic import command
                if TYPE_CHECKING:
                    command.upgrade(None, "head")
                if False:
                    command.upgrade(None, "head")
            """
        },
    ),
)
