/* SPDX-License-Identifier: MIT */
/* fake_docker.h - a Docker Engine that misbehaves on demand, on a unix socket of its own.
 * It knows one image and keeps containers by name; each fault is armed with a count and disarms itself
 * after so many requests that it hit. */
#pragma once
#include <stdatomic.h>

enum fake_fault {
    FAKE_NONE,
    FAKE_GARBAGE,  /* bytes that are no HTTP */
    FAKE_CUT_JSON, /* the answer's JSON ends in the middle, the length says so too */
    FAKE_CLOSE,    /* closes instead of answering, after it did what was asked */
    FAKE_ERROR,    /* 500 with a message */
    FAKE_HANG,     /* this one request is never answered */
    FAKE_PORT,     /* a start fails: the first host port of the container is taken */
};

/* An image that it has under no name of a registry. */
#define FAKE_IMAGE_ID "sha256:fa6e000000000000000000000000000000000000000000000000000000000000"
#define FAKE_IMAGE_PATH "sha256%3Afa6e000000000000000000000000000000000000000000000000000000000000"

struct fake_docker;
struct fake_docker *fake_docker_new(const char *socket_path); /* not yet listening */
void fake_docker_free(struct fake_docker *f);
void fake_docker_listen(struct fake_docker *f);
void fake_docker_vanish(struct fake_docker *f);           /* stops listening, breaks all connections; keeps its state */
/* The next `count` requests whose "METHOD /path" contains `part` meet the fault. */
void fake_docker_fault(struct fake_docker *f, const char *part, enum fake_fault fault, int count);
void fake_docker_end_pull(struct fake_docker *f); /* answers the pull that met FAKE_HANG after all */
/* `health` as Docker calls it: "starting", "healthy", "unhealthy". */
void fake_docker_set_health(struct fake_docker *f, const char *name_part, const char *health); /* and sends the event */
/* Answers the inspection that met FAKE_HANG after all, with the health that the container had then. */
void fake_docker_end_look(struct fake_docker *f, const char *name_part, const char *health);
void fake_docker_set_image(struct fake_docker *f, int is_present);
void fake_docker_hang(struct fake_docker *f, int hangs);  /* accepts, never answers */
void fake_docker_exit(struct fake_docker *f, const char *name_part, int code, int tells); /* a container ends; `tells` sends the event */
void fake_docker_send_event(struct fake_docker *f, const char *bytes);                  /* raw, to every event stream */
int fake_docker_count(struct fake_docker *f, const char *part); /* requests seen that contain it */
void fake_docker_say(struct fake_docker *f, const char *lines); /* what every container with a terminal has logged; then its log ends */
