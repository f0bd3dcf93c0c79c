/* SPDX-License-Identifier: MIT */
/* builds_config.h - what the operator allows builds: `builds.json` in the data directory.
 *   {"memory": "4G", "cpus": 1.5, "processes": 4096,
 *    "disk": "40G", "diskFree": "5%", "labels": ["linux"], "executors": 4,
 *    "users": "66000-98999", "docker": true, "network": "host",
 *    "untrusted": {"docker": false, "network": "none"},
 *    "pipelines": {"web": {"memory": "8G", "user": "ci", "untrusted": {"docker": true}}}}
 * `disk` is what workspaces and builds may take together, `diskFree` what has to be free for a build to
 * begin; either is a size or a share of the file system, and of all pipelines together.  Labels and
 * executors are described in executors.h.
 * What a pipeline's own object says goes before the rest, and for changes that are not trusted (forks.h) the
 * two objects "untrusted" before these.  "user" is one of the machine's for all builds ("root": as before
 * there were others) in place of one of "users" for each workspace.  0 stands for no limit.  The file is read
 * when a build begins, so that a change needs no restart; without it the defaults hold.  Where it cannot be
 * read these hold for the build; disk and executors stay as they were (room_disk.c, room_executors.c). */
#pragma once
#include "base/err.h"
#include "io/cgroup.h"
#include "pipeline/run/build_user.h"

#define BUILDS_PROCESSES_DEFAULT 8192
#define BUILDS_MEMORY_MIN ((int64_t)16 << 20)

#define BUILDS_DISK_PERCENT 50
#define BUILDS_DISK_FREE_PERCENT 5
#define BUILDS_DISK_FREE_MAX ((int64_t)2 << 30) /* of the default */

struct builds_share { /* both 0: no limit */
    int64_t bytes;
    int percent; /* of the file system, if `bytes` is 0 */
};
struct builds_config {
    struct cgroup_limits limits;
    struct build_rights rights;
    struct builds_share disk, disk_free;
    bool has_disk_free; /* it was said, else the default has a maximum, too */
};

/* Three quarters of the machine's memory, all its processors, BUILDS_PROCESSES_DEFAULT; Docker unless it is
 * not trusted, the machine's network. */
void builds_config_default(struct builds_config *c, bool is_untrusted);
struct json;

/* The whole file, for the caller to unref; NULL and `err` without a code: there is none. */
struct json *builds_config_json(const char *data_dir, struct err *err) MUST_CHECK;
/* 0: no limit. */
int64_t builds_disk_bytes(const struct builds_config *c, int64_t file_system_bytes);
int64_t builds_disk_free_bytes(const struct builds_config *c, int64_t file_system_bytes);
/* `pipeline` "": what holds for all.  False (and the defaults) if the file is not as described above; `err` says where. */
bool builds_config_read(const char *data_dir, const char *pipeline, bool is_untrusted,
                        struct builds_config *out, struct err *err) MUST_CHECK;
