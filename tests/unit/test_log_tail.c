/* SPDX-License-Identifier: MIT */
/* The last lines of a log: over the file that it was rotated to, and after all of it is gone. */
#include "agent/log_tail.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "check.h"
#include "io/file.h"

struct place {
    char dir[64], path[96], older[112];
};

static struct place
new_place(void)
{
    struct place p = {0};

    snprintf(p.dir, sizeof(p.dir), "/tmp/test_log_tail_XXXXXX");
    CHECK(mkdtemp(p.dir) != NULL);
    snprintf(p.path, sizeof(p.path), "%s/app.log", p.dir);
    snprintf(p.older, sizeof(p.older), "%s.1", p.path);
    return p;
}

static void
end_place(struct place *p)
{
    struct err err = {0};

    CHECK(file_remove_tree(p->dir, &err));
}

/* Lines "first" to "last", by their numbers. */
static void
write_lines(const char *path, int first, int last)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    for (int i = first; i <= last; i++)
        fprintf(f, "line %d\n", i);
    fclose(f);
}

static char *
tail(const struct place *p, int64_t lines)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    log_tail_read(p->path, lines, &out);
    return text_dup(strbuf_cstr(&out));
}

TEST(the_last_lines_are_read_and_no_more)
{
    cleanup(end_place) struct place p = new_place();
    cleanup_free char *none = tail(&p, 3);

    CHECK_TEXT(none, "");
    write_lines(p.path, 1, 5);
    cleanup_free char *three = tail(&p, 3), *five = tail(&p, 5), *all = tail(&p, 100),
                      *zero = tail(&p, 0);
    CHECK_TEXT(three, "line 3\nline 4\nline 5\n");
    CHECK_TEXT(five, "line 1\nline 2\nline 3\nline 4\nline 5\n");
    CHECK_TEXT(all, five);
    CHECK_TEXT(zero, "");
}

TEST(a_file_that_was_just_rotated_is_read_on)
{
    cleanup(end_place) struct place p = new_place();

    write_lines(p.older, 1, 5);
    cleanup_free char *absent = tail(&p, 2);
    CHECK_TEXT(absent, "line 4\nline 5\n"); /* the new file is not there yet */
    write_lines(p.path, 6, 7);
    cleanup_free char *both = tail(&p, 4), *newer = tail(&p, 2);
    CHECK_TEXT(both, "line 4\nline 5\nline 6\nline 7\n");
    CHECK_TEXT(newer, "line 6\nline 7\n");
}

TEST(half_a_line_is_none)
{
    cleanup(end_place) struct place p = new_place();
    FILE *f = fopen(p.path, "w");

    for (int i = 0; i < 1000; i++)
        fprintf(f, "%0999d\n", i); /* 1,000,000 bytes: the size is what limits */
    fclose(f);
    cleanup_free char *text = tail(&p, 1000);
    CHECK_EQ(strlen(text) % 1000, 0);
    CHECK(strlen(text) <= LOG_TAIL_SIZE && strlen(text) > LOG_TAIL_SIZE - 1000);
}

TEST(no_line_is_left_out_between_the_files)
{
    cleanup(end_place) struct place p = new_place();
    FILE *f = fopen(p.path, "w");

    write_lines(p.older, 1, 5);
    for (int i = 0; i < 300; i++)
        fprintf(f, "%0999d\n", i); /* more than is read of it */
    fclose(f);
    cleanup_free char *text = tail(&p, 1000);
    CHECK(str_starts(str_of(text), STR("0000")));
}

TEST(what_was_put_aside_outlives_the_log)
{
    cleanup(end_place) struct place p = new_place();
    struct place kept = {0};

    write_lines(p.older, 1, 300);
    write_lines(p.path, 301, 350);
    log_tail_keep(p.dir, "0123", "app", p.path);
    CHECK(unlink(p.path) == 0 && unlink(p.older) == 0);
    snprintf(kept.path, sizeof(kept.path), "%s/log/tails/0123/app.log", p.dir);
    cleanup_free char *text = tail(&kept, 1000);
    CHECK(str_starts(str_of(text), STR("line 151\n")));
    CHECK(str_ends(str_of(text), STR("line 350\n")));
    log_tail_keep(p.dir, "4567", "app", p.path); /* it said nothing */
    snprintf(kept.path, sizeof(kept.path), "%s/log/tails/4567", p.dir);
    CHECK(!file_exists(kept.path));
}

TEST(half_an_end_is_not_kept)
{
    cleanup(end_place) struct place p = new_place();
    struct rlimit limit;
    char kept[128];

    write_lines(p.path, 1, 200);
    snprintf(kept, sizeof(kept), "%s/log/tails/0123/app.log", p.dir);
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, limit.rlim_max}) == 0);
    log_tail_keep(p.dir, "0123", "app", p.path);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(!file_exists(kept));
    log_tail_keep(p.dir, "0123", "app", p.path);
    CHECK(file_exists(kept));
}
