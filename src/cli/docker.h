/* SPDX-License-Identifier: MIT */
/* docker.h - the `docker` that stands in front of the real one in every build step.
 * A Jenkinsfile says <account>.dkr.ecr.<region>.amazonaws.com; on this machine that registry is
 * localhost:<port>, and images have the names by which tasks ask for them (model/image_ref.h).  Arguments are
 * rewritten and the real docker takes over (exec). */
#pragma once
#include "base/str.h"
#include "model/image_ref.h"

int docker_main(int argc, char **argv);
/* `argument` with this machine's registry in place of every ECR host; true if there was one. */
bool docker_rewrite(const char *argument, const struct image_home *home, struct strbuf *out);
