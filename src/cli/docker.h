/* SPDX-License-Identifier: MIT */
/* docker.h - the `docker` that stands in front of the real one in every build step.
 * A Jenkinsfile says <account>.dkr.ecr.<region>.amazonaws.com; on this machine that registry is
 * localhost:<port>.  Arguments are rewritten and the real docker takes over (exec). */
#pragma once
#include "base/str.h"

int docker_main(int argc, char **argv);
/* `argument` with every ECR host in it replaced by "localhost:<port>"; true if there was one. */
bool docker_rewrite(const char *argument, const char *port, struct strbuf *out);
