# SPDX-License-Identifier: MIT
"""fake_github.py - as much of GitHub's REST API as reports need, for tests: commit statuses, check runs,
Deployments, installations of an App. It checks what GitHub checks (headers, who asks, members, limits),
keeps what it was told, and fails on demand (`failures`: answers to give before the true ones)."""
import base64
import http.server
import json
import re
import subprocess
import tempfile
import threading
import time

STATES = {"error", "failure", "pending", "success"}
CONCLUSIONS = {"action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"}
DEPLOYMENT_STATES = STATES | {"inactive", "in_progress", "queued"}


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


def need(condition, message, status=422):
    if not condition:
        raise Refusal(status, message)


class FakeGitHub:
    """`token`: a personal one. `app_id` and `public_key` (PEM): an App that is installed for `owner`."""

    def __init__(self, token=None, app_id=None, public_key=None, owner="acme", installation=77):
        self.token, self.app_id, self.public_key = token, app_id, public_key
        self.owner, self.installation = owner, installation
        self.statuses, self.checks, self.deployments, self.requests = [], {}, {}, []
        self.failures = []
        self.failing_path = None  # a pattern; its next request fails
        self.given = set()
        self.lock = threading.Lock()

    def __enter__(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = fake.answer(self.command, self.path, self.headers, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except BrokenPipeError:
                    pass  # who asked has ended meanwhile

            do_GET = do_POST = do_PATCH = handle_one

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method, path, headers, body):
        with self.lock:
            self.requests.append((method, path, time.monotonic()))
            if self.failures:
                return self.failures.pop(0)
            if self.failing_path and re.fullmatch(self.failing_path, path):
                self.failing_path = None
                return 502, {"Retry-After": "1"}, {"message": "Bad Gateway"}
            try:
                need(headers.get("User-Agent"), "Request forbidden by administrative rules", 403)
                need(headers.get("Accept") == "application/vnd.github+json", "Must accept 'application/json'", 415)
                need(headers.get("X-GitHub-Api-Version") == "2022-11-28", "Invalid API version", 400)
                status, answer = self.route(method, path, headers.get("Authorization", ""), json.loads(body or "{}"))
                return status, {}, answer
            except Refusal as refusal:
                return refusal.status, {}, {"message": refusal.message}

    def route(self, method, path, authorization, body):
        bearer = authorization.removeprefix("Bearer ")
        repo = r"/repos/([\w.-]+)/([\w.-]+)"
        if re.fullmatch(repo + "/installation", path) and method == "GET":
            self.check_jwt(bearer)
            need(path.split("/")[2] == self.owner, "Not Found", 404)
            return 200, {"id": self.installation}
        if path == f"/app/installations/{self.installation}/access_tokens" and method == "POST":
            self.check_jwt(bearer)
            token = f"ghs_{len(self.given)}"
            self.given.add(token)
            return 201, {"token": token, "expires_at": "2099-01-01T00:00:00Z"}
        need(bearer == self.token or bearer in self.given, "Bad credentials", 401)
        return self.repository(method, path, repo, bearer in self.given, body)

    def repository(self, method, path, repo, is_app, body):
        if m := re.fullmatch(repo + r"/statuses/([0-9a-f]{40})", path):
            need(method == "POST", "Not Found", 404)
            need(body.get("state") in STATES, "state is not included in the list")
            need(len(body.get("description") or "") <= 140, "description is too long (maximum is 140 characters)")
            need(re.match("https?://", body.get("target_url") or "http://"), "target_url must use http(s) scheme")
            self.statuses.append(dict(body, sha=m[3], repository=f"{m[1]}/{m[2]}"))
            return 201, {"id": len(self.statuses)}
        if m := re.fullmatch(repo + r"/check-runs(?:/(\d+))?", path):
            need(is_app, "You must authenticate via a GitHub App.", 403)
            return self.check(method, m[3], body)
        if m := re.fullmatch(repo + r"/deployments", path):
            need(method == "POST" and re.fullmatch("[0-9a-f]{40}", body.get("ref", "")), "No ref found")
            need(body.get("auto_merge") is False and body.get("required_contexts") == [], "Conflict: Commit status checks failed", 409)
            number = 1000 + len(self.deployments)
            self.deployments[number] = {"ref": body["ref"], "environment": body["environment"], "statuses": []}
            return 201, {"id": number}
        if m := re.fullmatch(repo + r"/deployments/(\d+)/statuses", path):
            need(int(m[3]) in self.deployments, "Not Found", 404)
            need(body.get("state") in DEPLOYMENT_STATES, "state is not included in the list")
            need(len(body.get("description") or "") <= 140, "description is too long")
            self.deployments[int(m[3])]["statuses"].append(body["state"])
            return 201, {"id": 1}
        raise Refusal(404, "Not Found")

    def check(self, method, number, body):
        if number is None:
            need(method == "POST" and body.get("name") and re.fullmatch("[0-9a-f]{40}", body.get("head_sha", "")), "Invalid request.")
            number = 500 + len(self.checks)
            self.checks[number] = {"history": []}
        number = int(number)
        need(number in self.checks, "Not Found", 404)
        need(body.get("status") in {"queued", "in_progress", "completed"}, "Invalid request.")
        need((body["status"] == "completed") == ("conclusion" in body), "Invalid request.")
        need(body.get("conclusion", "success") in CONCLUSIONS, "Invalid request.")
        need(not body.get("output") or body["output"].get("title") and body["output"].get("summary"), "Invalid request.")
        self.checks[number].update(body)
        self.checks[number]["history"].append(body["status"])
        return 201, {"id": number}

    def check_jwt(self, token):
        """Signed by the App's key, by whom it says, for ten minutes at most."""
        parts = token.split(".")
        need(self.public_key and len(parts) == 3, "A JSON web token could not be decoded", 401)
        decode = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
        claims = json.loads(decode(parts[1]))
        with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as signature:
            key.write(self.public_key)
            key.flush()
            signature.write(decode(parts[2]))
            signature.flush()
            done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", key.name, "-signature", signature.name],
                                  input=f"{parts[0]}.{parts[1]}".encode(), stdout=subprocess.DEVNULL, check=False)
        need(json.loads(decode(parts[0])) == {"alg": "RS256", "typ": "JWT"} and done.returncode == 0,
             "A JSON web token could not be decoded", 401)
        need(claims["iss"] == self.app_id and claims["iat"] <= time.time() and time.time() < claims["exp"] <= time.time() + 600,
             "'Expiration time' claim ('exp') is too far in the future", 401)
