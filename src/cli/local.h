/* SPDX-License-Identifier: MIT */
/* local.h - this machine, for up, down and doctor: programs, Docker's socket, the server's process.
 * Only these commands look beyond the API; everything else is a client like any other. */
#pragma once
#include <sys/types.h>
#include "cli/client.h"
#include "io/http_client.h"

/* In PATH or the sbin folders, which are not in every user's PATH. */
bool local_find_program(const char *program, char *out, size_t size);
/* DOCKER_HOST if it is a unix socket, else /var/run/docker.sock. */
void local_docker_socket(char *out, size_t size);
/* Is there a socket that this user may not use?  `err` then says so, and the ways out. */
bool local_docker_is_closed(const char *socket, struct err *err);
bool local_docker_get(const char *socket, const char *path, struct http_answer *out,
                      struct err *err) MUST_CHECK;
unsigned local_port(const struct client_config *config);
/* For what we start, wherever it works: the environment of a build's step (step_variables.h) and our keys.  What is set
 * already stays unless it `overwrites`, but for a `data_dir` that was said (else NULL). */
void local_give_environment(const struct client_config *config, const char *data_dir, bool overwrites);
/* Does a naru answer at the endpoint?  Its version in `version`. */
bool local_server_answers(const struct client_config *config, char *version, size_t size);
/* A member of what that naru says of itself: "problem", what keeps traffic from where it should be, "advice", or "region",
 * its own. False: there is none, and `out` is as it was. */
bool local_server_says(const struct client_config *config, const char *member, char *out, size_t size);
/* Does any program listen on this port, on whatever address of ours? */
bool local_port_is_taken(unsigned port);
/* What ships beside the program: "examples/my-app", "tools/dockerd.sh"; from an installation's
 * share/naru or from the source tree that the program was built in. */
bool local_find_asset(const char *name, char *out, size_t size);
/* A process that a file remembers as "<pid> <start time>": 0 if it is gone. */
pid_t local_pid_read(const char *path);
bool local_pid_write(const char *path, pid_t pid, struct err *err) MUST_CHECK;
/* SIGTERM, and SIGKILL after `patience_ms`. */
bool local_stop(pid_t pid, int64_t patience_ms);
