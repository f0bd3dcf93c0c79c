/* SPDX-License-Identifier: MIT */
#include "pipeline/builds_config.h"

#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
#include "base/json.h"
#include "io/file.h"
#include "pipeline/executors.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)
#define CPUS_MAX 4096
#define USERS_FIRST_MIN 1000
#define USERS_LAST_MAX 2000000000
#define USERS_MAX 100000
#define NOBODY_16 65535

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

/* "66000-98999" */
static bool
read_users(const struct json *v, struct build_rights *r, struct err *err)
{
    struct str rest = str_of(json_cstr(v, "")), first_text;
    int64_t first = 0, last = 0;

    if (!str_split(&rest, '-', &first_text) || !str_to_i64(first_text, &first) ||
        !str_to_i64(rest, &last) || first < USERS_FIRST_MIN || last < first || last > USERS_LAST_MAX ||
        last - first >= USERS_MAX || (first <= NOBODY_16 && last >= NOBODY_16 - 1))
        return err_set(err, ERR_VALIDATION,
                       "builds.json: 'users' is a range of user ids such as \"%u-%u\" (%d at least, %d "
                       "of them at most, without 65534 and 65535)",
                       BUILD_USERS_FIRST, BUILD_USERS_LAST, USERS_FIRST_MIN, USERS_MAX);
    r->first = (uint32_t)first;
    r->last = (uint32_t)last;
    r->user[0] = '\0';
    return true;
}

static bool
read_user(const struct json *v, struct build_rights *r, struct err *err)
{
    const char *name = json_cstr(v, "");
    char text[16384];
    struct passwd pw, *found = NULL;

    if (name[0] == '\0' || strlen(name) >= sizeof(r->user) ||
        getpwnam_r(name, &pw, text, sizeof(text), &found) != 0 || found == NULL)
        return err_set(err, ERR_VALIDATION,
                       "builds.json: 'user' is the name of a user of this machine, not '%.100s'", name);
    snprintf(r->user, sizeof(r->user), "%s", name);
    return true;
}

static bool
read_network(const struct json *v, struct build_rights *r, struct err *err)
{
    const char *name = json_cstr(v, "");

    if (strcmp(name, "host") != 0 && strcmp(name, "none") != 0)
        return err_set(err, ERR_VALIDATION, "builds.json: 'network' is \"host\" or \"none\"");
    r->network = strcmp(name, "host") == 0;
    return true;
}

static bool
read_rights(const struct json *j, struct build_rights *r, struct err *err)
{
    const struct json *users = json_get(j, "users"), *user = json_get(j, "user"),
                      *docker = json_get(j, "docker"), *network = json_get(j, "network");

    if (users != NULL && user != NULL)
        return err_set(err, ERR_VALIDATION, "builds.json: either 'user' or 'users'");
    if ((users != NULL && !read_users(users, r, err)) || (user != NULL && !read_user(user, r, err)) ||
        (network != NULL && !read_network(network, r, err)))
        return false;
    if (docker == NULL)
        return true;
    if (json_type(docker) != JSON_BOOL)
        return err_set(err, ERR_VALIDATION, "builds.json: 'docker' is true or false");
    r->docker = json_truth(docker, false);
    return true;
}

/* In order: what each may have besides. */
enum whose { UNTRUSTED, PIPELINE, ALL };

static bool
read_members(const struct json *j, struct builds_config *c, enum whose whose, struct err *err)
{
    static const char *const known[] = {"memory",  "cpus",      "processes", "user", "users",    "docker",
                                        "network", "untrusted", "pipelines", "disk", "diskFree", "labels",
                                        "executors"};
    static const size_t counts[] = {[UNTRUSTED] = 7, [PIPELINE] = 8, [ALL] = ARRAY_COUNT(known)};
    const char *stranger = json_stranger(j, known, counts[whose]);
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
    if ((v = json_get(j, "processes")) != NULL &&
        !read_count(v, "processes", 16, &c->limits.processes, err))
        return false;
    return read_rights(j, &c->rights, err);
}

void
builds_config_default(struct builds_config *c, bool is_untrusted)
{
    const int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    *c = (struct builds_config){.limits = {.processes = BUILDS_PROCESSES_DEFAULT},
                                .disk = {.percent = BUILDS_DISK_PERCENT},
                                .disk_free = {.percent = BUILDS_DISK_FREE_PERCENT}};
    if (pages > 0 && size > 0)
        c->limits.memory_bytes = pages * size / 4 * 3;
    build_rights_default(&c->rights, is_untrusted);
}

/* What is said of changes that are not trusted is looked at in any case. */
static bool
read_untrusted(const struct json *of, bool is_untrusted, struct builds_config *c, struct err *err)
{
    const struct json *j = json_get(of, "untrusted");
    struct builds_config other = *c;

    if (j == NULL)
        return true;
    if (!read_members(j, &other, UNTRUSTED, err))
        return err_context(err, "untrusted");
    if (is_untrusted)
        *c = other;
    return true;
}

/* All pipelines' objects are looked at, not only the one that is asked for: who made a mistake hears
 * of it from the next build, whichever that is. */
static bool
read_all(const struct json *j, const char *pipeline, bool is_untrusted, struct builds_config *out,
         struct err *err)
{
    const struct json *each = json_get(j, "pipelines"), *own;
    struct builds_config other;

    if (!read_members(j, out, ALL, err) || !read_whole(j, out, err))
        return false;
    if (each != NULL && json_type(each) != JSON_OBJECT)
        return err_set(err, ERR_VALIDATION, "builds.json: 'pipelines' is an object");
    for (void *it = json_first(each); it != NULL; it = json_next(each, it)) {
        other = *out;
        if (!read_members(json_value(it), &other, PIPELINE, err) ||
            !read_untrusted(json_value(it), true, &other, err))
            return err_context(err, "pipeline '%.63s'", json_key(it));
    }
    own = json_get(each, pipeline);
    if (own != NULL && !read_members(own, out, PIPELINE, err))
        return false;
    /* What the builds of the repository may is nothing for strangers: Docker, or to be root. */
    if (is_untrusted) {
        out->rights.docker = false;
        out->rights.user[0] = '\0';
    }
    return read_untrusted(j, is_untrusted, out, err) &&
           (own == NULL || read_untrusted(own, is_untrusted, out, err));
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
builds_config_read(const char *data_dir, const char *pipeline, bool is_untrusted,
                   struct builds_config *out, struct err *err)
{
    cleanup_json struct json *j = builds_config_json(data_dir, err);
    struct builds_config c;

    builds_config_default(out, is_untrusted);
    if (j == NULL)
        return err->code == ERR_NONE;
    c = *out;
    if (!read_all(j, pipeline, is_untrusted, &c, err))
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
