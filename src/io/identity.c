/* SPDX-License-Identifier: MIT */
#include "io/identity.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/str.h"
#include "io/file.h"

#define OURS_MAX 1024

static pthread_once_t once = PTHREAD_ONCE_INIT;
static gid_t our_groups[OURS_MAX];
static int our_group_count;

static void
note_groups(void)
{
    our_group_count = getgroups(OURS_MAX, our_groups);
    if (our_group_count < 0)
        our_group_count = 0;
}

/* The bits of linux/capability.h: CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID. */
static bool
has_rights(void)
{
    static const unsigned needed[] = {0, 1, 3, 5, 6, 7};
    static const char field[] = "CapEff:";
    cleanup(strbuf_done) struct strbuf text = {0};
    unsigned long long has;
    ptrdiff_t at;

    if (!file_read("/proc/self/status", 1 << 16, &text, NULL))
        return false;
    at = str_find(strbuf_str(&text), STR(field));
    if (at < 0)
        return false;
    has = strtoull(strbuf_cstr(&text) + at + sizeof(field) - 1, NULL, 16);
    for (size_t i = 0; i < ARRAY_COUNT(needed); i++)
        if ((has >> needed[i] & 1) == 0)
            return false;
    return true;
}

/* Not in a name space of users that one who was not root has made. */
static bool
may_set_groups(void)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    return !file_read("/proc/self/setgroups", 64, &text, NULL) ||
           !str_is(str_trim(strbuf_str(&text)), "deny");
}

bool
identity_is_possible(void)
{
    return geteuid() == 0 && has_rights() && may_set_groups();
}

static bool
is_mapped(const char *map, uint32_t first, uint32_t last)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest, line;
    unsigned inside, outside, count;

    if (!file_read(map, 1 << 16, &text, NULL))
        return true; /* there are no such name spaces */
    rest = strbuf_str(&text);
    while (str_split(&rest, '\n', &line)) {
        cleanup_free char *one = str_dup(line);
        if (sscanf(one, "%u %u %u", &inside, &outside, &count) == 3 && first >= inside &&
            (uint64_t)last < (uint64_t)inside + count)
            return true;
    }
    return false;
}

bool
identity_exists(uint32_t first, uint32_t last)
{
    return is_mapped("/proc/self/uid_map", first, last) && is_mapped("/proc/self/gid_map", first, last);
}

/* The C library would change all threads. */
static void
set_groups(size_t count, const gid_t *groups)
{
    if (syscall(SYS_setgroups, count, groups) != 0)
        abort();
}

static void
set_ids(uid_t uid, gid_t gid)
{
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    /* They do not say whether they did it; one that cannot be gives the present one. */
    if ((gid_t)setfsgid((gid_t)-1) != gid || (uid_t)setfsuid((uid_t)-1) != uid)
        abort();
}

void
identity_enter(const struct identity *id)
{
    (void)pthread_once(&once, note_groups);
    set_groups(id->group_count, id->groups);
    set_ids(id->uid, id->gid);
}

void
identity_leave(void)
{
    set_ids(geteuid(), getegid());
    set_groups((size_t)our_group_count, our_groups);
}
