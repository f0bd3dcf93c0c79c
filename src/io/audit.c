/* SPDX-License-Identifier: MIT */
#include "io/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LINE_MAX 4096

struct audit {
    char *path;
    pthread_mutex_t lock; /* guards the rest */
    int fd;
    off_t size;
};

static bool
file_open(struct audit *a, struct err *err)
{
    struct stat st;

    a->fd = open(a->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (a->fd < 0 || fstat(a->fd, &st) < 0)
        return err_errno(err, "cannot open '%s'", a->path);
    a->size = st.st_size;
    return true;
}

struct audit *
audit_open(const char *path, struct err *err)
{
    struct audit *a = mem_new(sizeof(*a));

    a->path = text_dup(path);
    pthread_mutex_init(&a->lock, NULL);
    if (file_open(a, err))
        return a;
    audit_close(a);
    return NULL;
}

void
audit_close(struct audit *a)
{
    if (a == NULL)
        return;
    if (a->fd >= 0)
        close(a->fd);
    pthread_mutex_destroy(&a->lock);
    free(a->path);
    free(a);
}

/* audit.log.3 becomes audit.log.4 and so on; the last one goes. */
static void
rotate(struct audit *a)
{
    struct err err = {0};

    for (int i = AUDIT_FILES - 2; i >= 0; i--) {
        cleanup_free char *to = text_format("%s.%d", a->path, i + 1);
        cleanup_free char *from = i > 0 ? text_format("%s.%d", a->path, i) : text_dup(a->path);
        if (rename(from, to) < 0 && errno != ENOENT)
            log_warn("audit.rotate_failed", "file=%s errno=%d", log_quote(from), errno);
    }
    close(a->fd);
    if (!file_open(a, &err))
        log_error("audit.failed", "error=%s", log_quote(err.message));
}

void
audit_line(struct audit *a, const char *at, const char *format, ...)
{
    char line[LINE_MAX], iso[32];
    va_list args;

    if (a == NULL)
        return;
    clock_format_iso(clock_wall_ms(), iso);
    int len = snprintf(line, sizeof(line), "ts=%s at=%s ", iso, at);
    va_start(args, format);
    len += vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
    va_end(args);
    if (len > LINE_MAX - 2)
        len = LINE_MAX - 2; /* cut, and still one line */
    line[len++] = '\n';
    pthread_mutex_lock(&a->lock);
    if (a->size + len > AUDIT_FILE_MAX)
        rotate(a);
    if (a->fd < 0 || write(a->fd, line, (size_t)len) != len)
        log_error("audit.failed", "errno=%d", errno);
    else
        a->size += len;
    pthread_mutex_unlock(&a->lock);
}
