/* SPDX-License-Identifier: MIT */
/* docker.h - containers in which steps run, and the `docker` object of Jenkinsfiles.
 * Everything is done by the command `docker` that the build finds in its PATH.
 * A container in which steps run has the workspace and its @tmp mounted under their own paths and
 * carries the labels naru.build=<the build's cookie> and naru.step=<id>: by the first it is ended
 * whatever happens to the build, by the second it is found again after a restart of naru. */
#pragma once
#include "pipeline/run/run.h"

/* Else it is thrown that the build may not use Docker, and who could let it. */
bool docker_is_granted(struct run *run, const struct node *at);
/* Starts a container of `image` (with the arguments of `docker run` in `arguments`, read by the
 * shell) and has processes of steps run in it from now on.  False: something is thrown. */
bool docker_box_enter(struct run *run, const struct node *at, struct str image,
                      struct str arguments);
/* Ends it and goes back to how processes were started before; nothing if `before` is the same. */
void docker_box_leave(struct run *run, const struct launcher *before);

/* The agent of a stage: `docker` or `dockerfile`, once the node is there; docker_box_leave() ends
 * it, the environment it pushed goes with the node's. */
bool docker_agent_enter(struct run *run, const struct stage *stage);
/* Does the agent want the node that is there already (reuseNode)? */
bool docker_agent_reuses(struct run *run, const struct stage *stage, bool *out);
/* The text of an agent's entry, or empty. */
bool docker_agent_text(struct run *run, const struct stage *stage, const char *name,
                       struct str *out);

/* Logs in at a registry in a configuration of its own, DOCKER_CONFIG in `layer`; `url` and `id` may
 * be empty.  `id` is a credential of kind password, or "ecr:REGION:ID" with one of kind aws. */
bool docker_login(struct run *run, const struct node *at, struct env_layer *layer, struct str url,
                  struct str id);
/* docker_config.c: a folder for DOCKER_CONFIG with what the environment's has: a copy of its config.json,
 * links to the rest. */
bool docker_config_make(struct run *run, const char *folder, struct err *err) MUST_CHECK;
/* One for the whole build, in its state folder, if it has such; `again`: it is taken up, and has it. */
void docker_config_enter(struct run *run, bool again);
/* Is it this variable ("NAME=value")? In a container the folder is not there. */
bool docker_config_is_of_build(struct run *run, struct str entry);

/* With the host of DOCKER_REGISTRY_URL in front, unless it is there. */
struct str docker_image_name(struct run *run, struct str name);
struct str docker_registry_host(struct str url); /* "https://host:5000/" -> "host:5000" */

/* Ends the containers of a build that is over; `env` and `place` NULL: ours. */
void docker_leftovers_end(const char *cookie, const char *const *env,
                          const struct process_place *place);

/* ... and those of all builds of an installation, suspended ones too; for `naru down --purge`. */
void docker_leftovers_purge(const char *data_dir);

/* docker_dsl.c */
bool docker_get(struct run *run, const struct node *at, struct value object, struct str name,
                struct value *out);
bool docker_method(struct run *run, const struct node *call, struct value object, struct str name,
                   const struct args *args, struct value *out);
step_function *step_docker_find(struct str name);
