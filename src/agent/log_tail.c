/* SPDX-License-Identifier: MIT */
#include "agent/log_tail.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "io/file.h"

/* Whole lines of at most `size` bytes from the end; true if that is all of the file, or there is none. */
static bool
read_end(const char *path, size_t size, struct strbuf *out)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *buffer = mem_new(size + 1);
    struct stat st;
    struct str found;
    off_t from;
    ssize_t got;

    if (fd < 0 || fstat(fd, &st) < 0)
        return true;
    from = st.st_size > (off_t)size ? st.st_size - (off_t)size : 0;
    got = pread(fd, buffer, size, from);
    if (got <= 0)
        return true;
    found = (struct str){buffer, (size_t)got};
    if (from > 0) /* it begins within a line */
        found = str_slice(found, (size_t)(str_index(found, '\n') + 1), found.len);
    strbuf_add(out, found);
    if (out->len > 0 && out->at[out->len - 1] != '\n')
        strbuf_add_char(out, '\n');
    return from == 0;
}

/* Where the last `lines` lines begin. */
static size_t
begin_of(struct str text, int64_t lines)
{
    size_t at = text.len;

    if (lines <= 0 || at == 0)
        return text.len;
    for (at--; at > 0; at--) {
        if (text.at[at - 1] == '\n' && --lines == 0)
            return at;
    }
    return 0;
}

void
log_tail_read(const char *path, int64_t lines, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf newer = {0}, all = {0};
    cleanup_free char *older = text_format("%s.1", path);
    struct str text;

    /* Only what joins: between the older file and an end of the newer one, lines would be missing. */
    if (read_end(path, LOG_TAIL_SIZE, &newer) && newer.len < LOG_TAIL_SIZE &&
        begin_of(strbuf_str(&newer), lines) == 0)
        (void)read_end(older, LOG_TAIL_SIZE - newer.len, &all);
    strbuf_add(&all, strbuf_str(&newer));
    text = strbuf_str(&all);
    strbuf_add(out, str_slice(text, begin_of(text, lines), text.len));
}

void
log_tail_keep(const char *data_dir, const char *task_id, const char *container, const char *path)
{
    cleanup(strbuf_done) struct strbuf tail = {0};
    cleanup_free char *folder = text_format("%s/log/tails/%s", data_dir, task_id);
    cleanup_free char *file = text_format("%s/%s.log", folder, container);
    cleanup_close int fd = -1;
    struct err err = {0};

    if (path[0] != '\0') /* else it was never opened */
        log_tail_read(path, LOG_TAIL_LINES, &tail);
    if (tail.len == 0)
        return;
    if (file_make_dirs(folder, 0750, &err)) {
        fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
            err_errno(&err, "cannot open '%s'", file);
    }
    if (fd >= 0 && file_write_all(fd, strbuf_str(&tail), &err))
        return;
    log_warn("logs.tail_not_kept", "task=%s container=%s error=%s", task_id, container,
             log_quote(err.message));
    if (fd >= 0)
        (void)unlink(file); /* half of it would pass for the end */
}
