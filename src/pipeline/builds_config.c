/* SPDX-License-Identifier: MIT */
#include "pipeline/builds_config.h"

#include <math.h>
#include <unistd.h>
#include "base/json.h"
#include "io/file.h"
#include "pipeline/executors.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)
#define CPUS_MAX 4096
#define OF_ONE 3 /* members that a pipeline's object may have: the first in the list of them all */

static bool
read_size(const struct json *v, const char *name, int64_t least, int64_t *out, struct err *err)
{
    int64_t size = json_i64(v, -1);

    if (json_type(v) == JSON_TEXT && !str_to_size(str_of(json_cstr(v, "")), &size))
        size = -1;
    if (size < 0 || (size > 0 && size < least))
        return err_set(err, ERR_VALIDATION,
                       "builds.json: '%s' is a size such as \"4G\" (at least %lld bytes, or 0)",
                       name, (long long)least);
    *out = size;
    return true;
}

static bool
read_count(const struct json *v, const char *name, int64_t least, int64_t *out, struct err *err)
{
    const int64_t count = json_i64(v, -1);

    if (json_type(v) != JSON_INT || count < 0 || (count > 0 && count < least))
        return err_set(err, ERR_VALIDATION, "builds.json: '%s' is a number (at least %lld, or 0)",
                       name, (long long)least);
    *out = count;
    return true;
}

static bool
read_cpus(const struct json *v, int64_t *milli_out, struct err *err)
{
    const double cpus = json_f64(v, -1);

    if ((json_type(v) != JSON_INT && json_type(v) != JSON_REAL) || cpus < 0 || cpus > CPUS_MAX ||
        (cpus > 0 && cpus < 0.01))
        return err_set(err, ERR_VALIDATION,
                       "builds.json: 'cpus' is a number of processors (at least 0.01, or 0)");
    *milli_out = (int64_t)llround(cpus * 1000);
    return true;
}

/* "20G" or "15%" */
static bool
read_share(const struct json *v, const char *name, struct builds_share *out, struct err *err)
{
    const struct str text = str_of(json_cstr(v, ""));
    int64_t percent;

    *out = (struct builds_share){0};
    if (!str_ends(text, STR("%")))
        return read_size(v, name, 1, &out->bytes, err);
    if (!str_to_i64(str_slice(text, 0, text.len - 1), &percent) || percent < 1 || percent > 100)
        return err_set(err, ERR_VALIDATION, "builds.json: '%s' is a size, or from 1%% to 100%%", name);
    out->percent = (int)percent;
    return true;
}

/* What is said for all pipelines together. */
static bool
read_whole(const struct json *j, struct builds_config *c, struct err *err)
{
    struct executor_plan plan;
    const struct json *v;
    const bool ok = executor_plan_read(&plan, j, err);

    executor_plan_done(&plan);
    if (!ok)
        return false;
    if ((v = json_get(j, "disk")) != NULL && !read_share(v, "disk", &c->disk, err))
        return false;
    if ((v = json_get(j, "diskFree")) == NULL)
        return true;
    c->has_disk_free = true;
    return read_share(v, "diskFree", &c->disk_free, err);
}

static bool
read_members(const struct json *j, struct builds_config *c, bool is_whole, struct err *err)
{
    static const char *const known[] = {"memory", "cpus", "processes", "pipelines", "disk",
                                        "diskFree", "labels", "executors"};
    const char *stranger = json_stranger(j, known, is_whole ? ARRAY_COUNT(known) : OF_ONE);
    const struct json *v;

    if (json_type(j) != JSON_OBJECT)
        return err_set(err, ERR_VALIDATION, "builds.json: an object is expected");
    if (stranger != NULL)
        return err_set(err, ERR_VALIDATION, "builds.json: '%.100s' is not known", stranger);
    if ((v = json_get(j, "memory")) != NULL &&
        !read_size(v, "memory", BUILDS_MEMORY_MIN, &c->limits.memory_bytes, err))
        return false;
    if ((v = json_get(j, "cpus")) != NULL && !read_cpus(v, &c->limits.cpu_milli, err))
        return false;
    return (v = json_get(j, "processes")) == NULL ||
           read_count(v, "processes", 16, &c->limits.processes, err);
}

void
builds_config_default(struct builds_config *c)
{
    const int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    *c = (struct builds_config){.limits = {.processes = BUILDS_PROCESSES_DEFAULT},
                                .disk = {.percent = BUILDS_DISK_PERCENT},
                                .disk_free = {.percent = BUILDS_DISK_FREE_PERCENT}};
    if (pages > 0 && size > 0)
        c->limits.memory_bytes = pages * size / 4 * 3;
}

/* All pipelines' objects are looked at, not only the one that is asked for: who made a mistake hears
 * of it from the next build, whichever that is. */
static bool
read_all(const struct json *j, const char *pipeline, struct builds_config *out, struct err *err)
{
    const struct json *each = json_get(j, "pipelines");
    struct builds_config other;

    if (!read_members(j, out, true, err) || !read_whole(j, out, err))
        return false;
    if (each != NULL && json_type(each) != JSON_OBJECT)
        return err_set(err, ERR_VALIDATION, "builds.json: 'pipelines' is an object");
    for (void *it = json_first(each); it != NULL; it = json_next(each, it)) {
        other = *out;
        if (!read_members(json_value(it), &other, false, err))
            return err_context(err, "pipeline '%.63s'", json_key(it));
    }
    return json_get(each, pipeline) == NULL ||
           read_members(json_get(each, pipeline), out, false, err);
}

struct json *
builds_config_json(const char *data_dir, struct err *err)
{
    cleanup_free char *path = text_format("%s/builds.json", data_dir);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *j;

    *err = (struct err){0};
    if (!file_exists(path) || !file_read(path, FILE_SIZE_MAX, &text, err))
        return NULL;
    j = json_parse(strbuf_str(&text), err);
    if (j == NULL)
        err_context(err, "builds.json");
    return j;
}

bool
builds_config_read(const char *data_dir, const char *pipeline, struct builds_config *out,
                   struct err *err)
{
    cleanup_json struct json *j = builds_config_json(data_dir, err);
    struct builds_config c;

    builds_config_default(out);
    if (j == NULL)
        return err->code == ERR_NONE;
    c = *out;
    if (!read_all(j, pipeline, &c, err))
        return false;
    *out = c;
    return true;
}

static int64_t
share_of(const struct builds_share *s, int64_t all)
{
    return s->bytes > 0 ? s->bytes : all / 100 * s->percent;
}

int64_t
builds_disk_bytes(const struct builds_config *c, int64_t file_system_bytes)
{
    return share_of(&c->disk, file_system_bytes);
}

int64_t
builds_disk_free_bytes(const struct builds_config *c, int64_t file_system_bytes)
{
    const int64_t bytes = share_of(&c->disk_free, file_system_bytes);

    return c->has_disk_free || bytes < BUILDS_DISK_FREE_MAX ? bytes : BUILDS_DISK_FREE_MAX;
}
