/* SPDX-License-Identifier: MIT */
/* builds_config.h - what the operator allows builds: `builds.json` in the data directory.
 *   {"memory": "4G", "cpus": 1.5, "processes": 4096,
 *    "pipelines": {"web": {"memory": "8G"}}}
 * What a pipeline's own object says goes before the rest.  0 stands for no limit.  The file is read
 * when a build begins, so that a change needs no restart; without it the defaults hold. */
#pragma once
#include "base/err.h"
#include "io/cgroup.h"

#define BUILDS_PROCESSES_DEFAULT 8192
#define BUILDS_MEMORY_MIN ((int64_t)16 << 20)

struct builds_config {
    struct cgroup_limits limits;
};

/* Three quarters of the machine's memory, all its processors, BUILDS_PROCESSES_DEFAULT. */
void builds_config_default(struct builds_config *c);
/* False (and the defaults) if the file is not as described above; `err` says where. */
bool builds_config_read(const char *data_dir, const char *pipeline, struct builds_config *out,
                        struct err *err) MUST_CHECK;
