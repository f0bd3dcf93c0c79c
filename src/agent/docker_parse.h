/* SPDX-License-Identifier: MIT */
/* docker_parse.h - Docker's answers as structs.  Pure; the bytes come from outside and may be anything.
 * Missing members read as empty or zero, so an answer of a newer or older Docker is no error; what is
 * not JSON is. */
#pragma once
#include "model/task.h"

#define DOCKER_ID_SIZE 72
#define DOCKER_LINE_MAX ((size_t)1024 * 1024) /* of a stream of JSON lines */

/* One container as GET /containers/<id>/json tells it. */
#define HEALTH_LOG_SIZE 1024 /* what is kept of the output of health checks, as ECS does */

struct docker_state {
    char id[DOCKER_ID_SIZE];
    char name[640];                /* without the leading '/' */
    char task[ID_SIZE];            /* label naru.task */
    char installation[32];         /* label naru.installation */
    char image_id[DIGEST_SIZE];
    char status[16];               /* created, running, paused, restarting, removing, exited, dead */
    bool is_running, has_ended;    /* neither: not started yet */
    bool has_tty;
    int exit_code;
    bool was_oom_killed;
    char error[REASON_SIZE];       /* why it could not be started */
    char stop_signal[32];          /* "SIGTERM" unless the image says otherwise */
    enum health_status health;
    char health_log[HEALTH_LOG_SIZE]; /* "<time> exit 1: output", newest first; empty: no check */
    int64_t started_at_ms, finished_at_ms; /* wall clock; 0: never */
    struct network_binding bindings[BINDINGS_MAX];
    int binding_count;
    char address[ADDRESS_SIZE], mac_address[32]; /* on `network` */
};

/* `network` names the one whose address is wanted; NULL takes none.  `mappings` are the port mappings
 * of its definition (may be NULL): the ports of a containerPortRange become one binding, that of the
 * whole range. */
bool docker_parse_state(const struct json *answer, const char *network, const struct json *mappings,
                        struct docker_state *out, struct err *err) MUST_CHECK;

enum docker_event_type { DOCKER_START, DOCKER_DIE, DOCKER_OOM, DOCKER_HEALTH, DOCKER_DESTROY, DOCKER_OTHER };
struct docker_event {
    enum docker_event_type type;
    char id[DOCKER_ID_SIZE], task[ID_SIZE];
    int exit_code;             /* of DOCKER_DIE */
    enum health_status health; /* of DOCKER_HEALTH */
};
/* One line of GET /events. */
bool docker_parse_event(struct str line, struct docker_event *out, struct err *err) MUST_CHECK;

/* Cuts a stream into lines; a line over DOCKER_LINE_MAX is dropped and told by `was_cut`. */
struct docker_lines {
    struct strbuf partial;
    bool is_skipping, was_cut;
};
void docker_lines_done(struct docker_lines *l);
void docker_lines_feed(struct docker_lines *l, struct str data, void (*line)(void *arg, struct str line),
                       void *arg);

/* The progress of a pull: JSON lines, of which one may tell an error although the status was 200. */
struct docker_pull {
    struct docker_lines lines;
    bool has_error;
    bool is_done; /* it said "Status: ..." at the end: a stream cut short did not */
    char error[REASON_SIZE];
};
void docker_pull_done(struct docker_pull *p);
void docker_pull_feed(struct docker_pull *p, struct str data);

/* The text of an error answer: {"message": "..."} or the body itself, in one line. */
void docker_parse_message(struct str body, char *out, size_t size);
