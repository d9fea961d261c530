"""A W&B server of our own, on loopback: what W&B's client sends arrives here, and can be looked at.

It keeps runs, artifacts, views and sweeps, and hands out points to agents. It answers what the client asks, as far as
the client needs it; that the real server would draw the same picture is not shown by it.
"""

import base64
import gzip
import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import yaml

ENTITY = "somebody"
KEY = "0" * 40

Json = dict[str, Any]


@dataclass
class Artifact:
    """A version of an artifact; `files` are there once it is committed."""

    id: str
    client_id: str
    project: str
    type: str
    name: str
    version: int
    digest: str
    aliases: list[str]
    metadata: Json
    description: str = ""
    state: str = "PENDING"
    manifest: Json = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Run:
    """What arrived of a run."""

    entity: str
    project: str
    id: str
    name: str = ""
    group: str | None = None
    job_type: str | None = None
    notes: str | None = None
    sweep: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Json = field(default_factory=dict)
    streams: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    used: list[Artifact] = field(default_factory=list)
    state: str = "running"
    exit_code: int | None = None

    @property
    def history(self) -> list[Json]:
        """The rows in the order of their steps; of a step that was sent again the last one.

        W&B's client sends the rows of a log that is uploaded again at the steps that they had, and leaves it at that.
        """
        rows = [json.loads(line) for line in self.lines("wandb-history.jsonl")]
        return [row for _, row in sorted({row["_step"]: row for row in rows}.items())]

    @property
    def summary(self) -> Json:
        """The summary as it was last sent."""
        lines = self.lines("wandb-summary.json")
        return dict(json.loads(lines[-1])) if lines else {}

    def lines(self, stream: str) -> list[str]:
        """The lines of a stream."""
        return [line for _, line in sorted(self.streams.get(stream, {}).items())]

    def upsert(self, sent: Json) -> None:
        """Take over what was sent; what was left out stays as it is."""
        self.name = sent.get("displayName") or self.name or self.id
        self.group = sent.get("groupName") or self.group
        self.job_type = sent.get("jobType") or self.job_type
        self.notes = sent.get("notes") or self.notes
        self.sweep = sent.get("sweep") or self.sweep
        self.tags = sent["tags"] if sent.get("tags") is not None else self.tags
        if sent.get("config"):
            config = json.loads(sent["config"])
            self.config = {key: entry["value"] for key, entry in config.items() if key != "_wandb"}

    def stream(self, sent: Json) -> None:
        """Take over a piece of the run's streams, and its end."""
        for name, part in (sent.get("files") or {}).items():
            first = 0 if name == "wandb-summary.json" else part["offset"]
            self.streams.setdefault(name, {}).update(enumerate(part["content"], first))
        if sent.get("complete"):
            self.exit_code = sent["exitcode"]
            self.state = "finished" if self.exit_code == 0 else "failed"
        elif sent.get("files"):
            self.state = "running"


@dataclass
class View:
    """A saved view of a project."""

    id: str
    name: str
    title: str
    project: str
    spec: Json


@dataclass
class Sweep:
    """A sweep of W&B's own."""

    id: str
    name: str
    project: str
    config: Json
    prior_runs: Any = None


class WandbServer:
    """A W&B server that answers on loopback while it is entered.

    Attributes:
        latency: Seconds before each answer.
        failing: Answers 500 to `everything`, or to the `file_stream` only.
        refuses: The status, 401 or 403, that is answered to everything.
        storage_refuses: Answers 403 to the uploads of files, as a storage does whose addresses have expired.
        points: What agents are given to run, one after the other; then they are told to exit.
        on_request: Is told of each request before it is answered: a GraphQL operation, `file_stream` or `upload`.
        requests: The names of all requests so far.
        unknown: Those it knew no answer to, and its own mistakes; a test should find it empty.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: list[Artifact] = []
        self.views: list[View] = []
        self.sweeps: list[Sweep] = []
        self.points: list[Mapping[str, Any]] = []
        self.agents: list[str] = []
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.latency = 0.0
        self.failing: Literal["everything", "file_stream"] | None = None
        self.refuses: Literal[401, 403] | None = None
        self.storage_refuses = False
        self.on_request: Callable[[str, Json], None] | None = None
        self._blobs: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self._http = _Http(("127.0.0.1", 0), self)
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_ERROR_REPORTING": "false"}
        self._operations: dict[str, Callable[[Json], Json]] = {
            "Viewer": self._viewer,
            "GetDefaultEntity": self._viewer,
            "ServerFeaturesQuery": lambda sent: {"serverInfo": {"features": []}},
            "OrganizationCoreWeaveOrganizationID": lambda sent: {
                "entity": {"organization": {"coreWeaveOrganizationId": None}}
            },
            "UpsertBucket": self._upsert_run,
            "RunResumeStatus": self._resume_status,
            "CreateRunFiles": self._run_files,
            "MarkRunFilesUploaded": lambda sent: {"markRunFilesUploaded": {"success": True}},
            "XXHashDigestsEnabled": lambda sent: {"entity": {"xxhashDigestsEnabled": False}},
            "ArtifactType": self._artifact_type,
            "CreateArtifact": self._create_artifact,
            "CreateArtifactManifest": self._create_manifest,
            "UpdateArtifactManifest": self._update_manifest,
            "CreateArtifactFiles": self._artifact_files,
            "CommitArtifact": self._commit_artifact,
            "UseArtifact": self._use_artifact,
            "ClientIDMapping": self._client_id,
            "UpsertView2": self._upsert_view,
            "View": self._view,
            "UpsertSweep": self._upsert_sweep,
            "SweepWithRuns": self._sweep,
            "CreateAgent": self._create_agent,
            "Heartbeat": self._heartbeat,
        }

    def __enter__(self) -> "WandbServer":
        self._serve()
        return self

    def __exit__(self, *exception: object) -> None:
        self.gone()

    def run(self, id: str) -> Run:
        """The one run of that id."""
        (found,) = [run for run in self.runs.values() if run.id == id]
        return found

    def gone(self) -> None:
        """Close the port and every connection; may be called from `on_request`."""
        self._http.end()

    def back(self) -> None:
        """Answer again, at the same address, with all that had arrived."""
        self._http = _Http(("127.0.0.1", self.port), self)
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, body: bytes) -> tuple[int, Json]:
        """Return the status and the answer to a request."""
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        what, sent = _request(parts, body)
        if self.on_request:
            self.on_request(what, sent)
        time.sleep(self.latency)
        if self._http.ended:
            return 503, {}
        try:
            return self._answer(what, sent, parts, body)
        except Exception as error:  # noqa: BLE001 - the client must have an answer, and the test hear of it
            self.unknown.append(f"{what}: {error!r}")
            return 400, {"errors": [{"message": repr(error)}]}

    def _answer(self, what: str, sent: Json, parts: list[str], body: bytes) -> tuple[int, Json]:
        with self._lock:
            self.requests.append(what)
            if self.refuses:
                return self.refuses, {"errors": [{"message": "user is not logged in"}]}
            if self.failing in ("everything", what):
                return 500, {"errors": [{"message": "this server fails"}]}
            if parts[-1] == "graphql":
                return self._graphql(what, sent)
            if what == "file_stream":
                self._run(*parts[1:4]).stream(sent)
                return 200, {"exitcode": None, "limits": {}, "stopped": False}
            if what.startswith("sdk/otel/"):  # what W&B counts of itself, once a minute
                return 200, {}
            if what == "upload" and self.storage_refuses:
                return 403, {"errors": [{"message": "the address has expired"}]}
            if what == "upload":
                return self._upload(parts[1:], body)
            self.unknown.append(what)
            return 404, {}

    def _graphql(self, operation: str, sent: Json) -> tuple[int, Json]:
        if operation not in self._operations:
            self.unknown.append(operation)
            return 200, {"data": None, "errors": [{"message": f"unknown operation {operation}"}]}
        return 200, {"data": self._operations[operation](sent)}

    def _upload(self, parts: list[str], body: bytes) -> tuple[int, Json]:
        if parts[0] == "run":
            self._run(*parts[1:4]).files["/".join(parts[4:])] = body
        elif parts[0] == "manifest":
            self._artifact(parts[1]).manifest = json.loads(body)
        elif parts[1] == hashlib.md5(body).hexdigest():
            self._blobs[parts[1]] = body
        else:
            return 400, {"errors": [{"message": "the content is not what its digest says"}]}
        return 200, {}

    def _storage(self, *parts: str) -> str:
        return "/".join([self.url, "storage", *(quote(part, safe="") for part in parts)])

    def _run(self, entity: str, project: str, id: str) -> Run:
        entity, project = entity or ENTITY, project or "uncategorized"
        return self.runs.setdefault(f"{entity}/{project}/{id}", Run(entity, project, id))

    def _artifact(self, id: str) -> Artifact:
        (found,) = [artifact for artifact in self.artifacts if artifact.id == id]
        return found

    # Who asks.

    def _viewer(self, sent: Json) -> Json:
        names = {"id": "user", "entity": ENTITY, "username": ENTITY, "email": "somebody@example.org", "flags": "{}"}
        return {"viewer": {**names, "teams": {"edges": []}}}

    # Runs.

    def _upsert_run(self, sent: Json) -> Json:
        before = len(self.runs)
        run = self._run(sent.get("entity") or "", sent.get("project") or "", sent["name"])
        run.upsert(sent)
        return {"upsertBucket": {"bucket": _bucket(run), "inserted": len(self.runs) > before}}

    def _resume_status(self, sent: Json) -> Json:
        entity = sent.get("entity") or ENTITY
        run = self.runs.get(f"{entity}/{sent['project']}/{sent['name']}")
        return {"model": {**_project(entity, sent["project"]), "bucket": _bucket(run) if run else None}}

    def _run_files(self, sent: Json) -> Json:
        where = (sent.get("entity") or ENTITY, sent["project"], sent["run"])
        files = [{"name": name, "uploadUrl": self._storage("run", *where, name)} for name in sent["files"]]
        return {"createRunFiles": {"runID": sent["run"], "uploadHeaders": [], "files": files}}

    # Artifacts: content is kept by its digest, as W&B does; a version that is there already is not made again.

    def _artifact_type(self, sent: Json) -> Json:
        name = sent["name"].partition(":")[0]
        found = next((artifact for artifact in self.artifacts if artifact.name == name), None)
        return {"project": {"artifact": {"artifactType": {"name": found.type}} if found else None}}

    def _create_artifact(self, sent: Json) -> Json:
        asked = sent["input"]
        name, aliases = asked["artifactCollectionName"], [alias["alias"] for alias in asked.get("aliases") or []]
        run = self._run(asked["entityName"], asked["projectName"], asked["runName"])
        versions = [artifact for artifact in self.artifacts if (artifact.project, artifact.name) == (run.project, name)]
        artifact = next((version for version in versions if version.digest == asked["digest"]), None)
        if artifact is None:
            artifact = Artifact(
                id=f"artifact{len(self.artifacts)}",
                client_id=asked.get("clientID") or "",
                project=run.project,
                type=asked["artifactTypeName"],
                name=name,
                version=len(versions),
                digest=asked["digest"],
                aliases=[],
                metadata=json.loads(asked.get("metadata") or "{}"),
                description=asked.get("description") or "",
            )
            self.artifacts.append(artifact)
        for version in versions:
            version.aliases = [alias for alias in version.aliases if alias not in aliases]
        artifact.aliases += [alias for alias in aliases if alias not in artifact.aliases]
        if artifact not in run.artifacts:
            run.artifacts.append(artifact)
        latest = {"id": versions[-1].id} if versions else None
        made = {"id": artifact.id, "state": artifact.state, "artifactSequence": {"latestArtifact": latest}}
        return {"createArtifact": {"artifact": made}}

    def _create_manifest(self, sent: Json) -> Json:
        return {"createArtifactManifest": {"artifactManifest": self._manifest(sent["artifactID"])}}

    def _update_manifest(self, sent: Json) -> Json:
        return {"updateArtifactManifest": {"artifactManifest": self._manifest(sent["artifactManifestID"])}}

    def _manifest(self, artifact: str) -> Json:
        file = {"id": f"manifest of {artifact}", "uploadUrl": self._storage("manifest", artifact), "uploadHeaders": []}
        return {"id": artifact, "file": file}

    def _artifact_files(self, sent: Json) -> Json:
        return {
            "createArtifactFiles": {"files": {"edges": [self._slot(file) for file in sent["input"]["artifactFiles"]]}}
        }

    def _slot(self, file: Json) -> Json:
        digest = base64.b64decode(file["md5"]).hex()
        slot: Json = {"storagePath": digest, "uploadHeaders": [], "uploadMultipartUrls": None}
        url = None if digest in self._blobs else self._storage("blob", digest)
        return {"node": {**slot, "uploadUrl": url, "artifact": {"id": file["artifactID"]}}}

    def _commit_artifact(self, sent: Json) -> Json:
        artifact = self._artifact(sent["artifactID"])
        for name, entry in artifact.manifest["contents"].items():
            if "ref" not in entry:
                artifact.files[name] = self._blobs[base64.b64decode(entry["digest"]).hex()]
        artifact.state = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _use_artifact(self, sent: Json) -> Json:
        asked = sent["input"]
        artifact = self._artifact(asked["artifactID"])
        self._run(asked["entityName"], asked["projectName"], asked["runName"]).used.append(artifact)
        return {"useArtifact": {"artifact": {"id": artifact.id}}}

    def _client_id(self, sent: Json) -> Json:
        found = next((artifact for artifact in self.artifacts if artifact.client_id == sent["clientID"]), None)
        return {"clientIDMapping": {"serverID": found.id} if found else None}

    # Views.

    def _upsert_view(self, sent: Json) -> Json:
        # Only an id finds an earlier view: whether the real server would go by the name too is not known.
        view = next((view for view in self.views if view.id == sent.get("id")), None)
        is_new = view is None
        if view is None:
            view = View(f"view{len(self.views)}", sent["name"], "", sent["projectName"], {})
            self.views.append(view)
        view.title, view.spec = sent["displayName"], json.loads(sent["spec"])
        return {"upsertView": {"view": {"id": view.id, "name": view.name}, "inserted": is_new}}

    def _view(self, sent: Json) -> Json:
        found = [view for view in self.views if (view.project, view.name) == (sent["name"], sent["viewName"])]
        nodes = [{"id": view.id, "displayName": view.title, "spec": json.dumps(view.spec)} for view in found]
        return {"project": {"allViews": {"edges": [{"node": node} for node in nodes]}}}

    # Sweeps and their agents.

    def _upsert_sweep(self, sent: Json) -> Json:
        project = sent.get("projectName") or "uncategorized"
        config = yaml.safe_load(sent["config"])
        name = sent.get("displayName") or config.get("name") or ""
        sweep = Sweep(f"sweep{len(self.sweeps)}", name, project, config, sent.get("priorRunsFilters"))
        self.sweeps.append(sweep)
        made = {"name": sweep.id, "project": _project(sent.get("entityName") or ENTITY, project)}
        return {"upsertSweep": {"sweep": made, "configValidationWarnings": []}}

    def _sweep(self, sent: Json) -> Json:
        sweep = next((sweep for sweep in self.sweeps if sweep.id == sent["sweep"]), None)
        if sweep is None:
            return {"project": {"sweep": None}}
        said = {"id": sweep.id, "name": sweep.id, "method": sweep.config.get("method"), "state": "RUNNING"}
        return {"project": {"sweep": {**said, "config": yaml.safe_dump(sweep.config), "runs": {"edges": []}}}}

    def _create_agent(self, sent: Json) -> Json:
        self.agents.append(sent["sweep"])
        return {"createAgent": {"agent": {"id": str(len(self.agents) - 1)}}}

    def _heartbeat(self, sent: Json) -> Json:
        sweep = next(sweep for sweep in self.sweeps if sweep.id == self.agents[int(sent["id"])])
        commands: list[Json] = []
        if not json.loads(sent["runState"]):
            commands = [self._next_point(sweep) if self.points else {"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": sent["id"]}, "commands": json.dumps(commands)}}

    def _next_point(self, sweep: Sweep) -> Json:
        point = self.points.pop(0)
        arguments = {key: {"value": value} for key, value in point.items()}
        id = f"{sweep.id}-{self.requests.count('Heartbeat')}"
        return {"type": "run", "run_id": id, "program": sweep.config["program"], "args": arguments}


def _request(parts: list[str], body: bytes) -> tuple[str, Json]:
    if parts[-1] == "graphql":
        asked = json.loads(body)
        name = re.search(r"\b(?:query|mutation)\s+(\w+)", asked["query"])
        return asked.get("operationName") or (name[1] if name else "?"), asked.get("variables") or {}
    if parts[-1] == "file_stream":
        return "file_stream", json.loads(body)
    return "upload" if parts[0] == "storage" else "/".join(parts), {}


def _project(entity: str, project: str) -> Json:
    return {"id": f"project {project}", "name": project, "entity": {"id": f"entity {entity}", "name": entity}}


def _bucket(run: Run) -> Json:
    tail = [json.dumps(row) for row in run.history[-1:]]
    return {
        "id": base64.b64encode(f"Run:v1:{run.id}:{run.project}:{run.entity}".encode()).decode(),
        "name": run.id,
        "displayName": run.name,
        "description": "",
        "notes": run.notes,
        "tags": run.tags,
        "sweepName": run.sweep,
        "project": _project(run.entity, run.project),
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(run.history),
        "eventsLineCount": len(run.lines("wandb-events.jsonl")),
        "logLineCount": len(run.lines("output.log")),
        "historyTail": json.dumps(tail),
        "eventsTail": "[]",
        "wandbConfig": json.dumps({"t": 1}),
    }


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], wandb: WandbServer) -> None:
        super().__init__(address, _Handler)
        self.wandb = wandb
        self.ended = False
        self.connections: set[socket.socket] = set()

    def end(self) -> None:
        """Close the port and all connections."""
        if self.ended:
            return
        self.ended = True
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):  # it may be gone already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: they reset their connections when they exit."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status, answer = self.server.wandb.answer(self.path, body)
        if self.server.ended:
            self.close_connection = True
            return
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _any  # noqa: N815 - the names that http.server looks for
