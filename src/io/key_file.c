/* SPDX-License-Identifier: MIT */
#include "io/key_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"

static struct json *
empty_of(enum json_type type)
{
    return type == JSON_ARRAY ? json_array() : json_object();
}

bool
key_file_read(const char *path, const char *member, enum json_type type, struct json **out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!file_exists(path)) {
        *out = empty_of(type);
        return true;
    }
    if (!file_read(path, KEY_FILE_MAX, &text, err))
        return false;
    cleanup_json struct json *document = json_parse(strbuf_str(&text), err);
    if (json_type(json_get(document, member)) != type)
        return err_set(err, ERR_INTERNAL, "'%s' holds no list of %s", path, member);
    *out = json_ref(json_get(document, member));
    return true;
}

bool
key_file_write(const char *path, const char *member, const struct json *value, struct err *err)
{
    cleanup_json struct json *document = json_object();

    json_set(document, member, json_ref(value));
    cleanup_free char *text = json_format_pretty(document);
    return file_write_atomic(path, str_of(text), 0600, err);
}

/* The lock is a file beside, for the file itself is replaced. */
int
key_file_lock(const char *path, struct err *err)
{
    cleanup_free char *lock = text_format("%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        err_errno(err, "cannot lock '%s'", lock);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static bool
is_as_seen(const struct key_file *file, const struct stat *st)
{
    /* The size, too: two writes within one tick of the disk's clock may meet the first one's inode again. */
    return file->read != NULL && st->st_ino == file->seen_inode && st->st_size == file->seen_size &&
           st->st_mtim.tv_sec == file->seen_time.tv_sec && st->st_mtim.tv_nsec == file->seen_time.tv_nsec;
}

const struct json *
key_file_now(struct key_file *file)
{
    struct err err = {0};
    struct stat st = {0};
    struct json *now = NULL;

    (void)stat(file->path, &st); /* not there: all zero, as at the beginning */
    const bool is_same = is_as_seen(file, &st);
    if (is_same && !file->is_out_of_reach)
        return file->read;
    const bool is_read = key_file_read(file->path, file->member, file->type, &now, &err);
    if (!is_read && !is_same)
        log_error("keys.unreadable", "error=%s", log_quote(err.message));
    json_unref(file->read);
    file->read = is_read ? now : empty_of(file->type);
    /* No descriptor was free, for example: that passes, and nobody touches the file for it. */
    file->is_out_of_reach = !is_read && err.sys_errno != 0;
    file->seen_inode = st.st_ino;
    file->seen_size = st.st_size;
    file->seen_time = st.st_mtim;
    return file->read;
}

void
key_file_done(struct key_file *file)
{
    json_unref(file->read);
    free(file->path);
    *file = (struct key_file){0};
}
