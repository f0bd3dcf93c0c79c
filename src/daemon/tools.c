/* SPDX-License-Identifier: MIT */
#include "daemon/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/str.h"
#include "io/identity.h"
#include "pipeline/run/build_user.h"

static bool
is_reachable(const char *path)
{
    const struct identity anybody = {.uid = BUILD_USERS_FIRST, .gid = BUILD_USERS_FIRST};
    bool ok;

    if (!identity_is_possible() || !identity_exists(anybody.uid, anybody.uid))
        return true;
    identity_enter(&anybody);
    ok = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
    identity_leave();
    return ok;
}

static bool
copy(const char *from, const char *to, struct err *err)
{
    cleanup_free char *fresh = text_format("%s.new", to);
    cleanup_close int in = open(from, O_RDONLY | O_CLOEXEC);
    cleanup_close int out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ssize_t n = 0;

    if (in < 0)
        return err_errno(err, "cannot open '%s'", from);
    if (out < 0 || fchmod(out, 0755) != 0)
        return err_errno(err, "cannot write '%s'", fresh);
    while ((n = sendfile(out, in, NULL, INT_MAX)) > 0)
        continue;
    if (n < 0)
        return err_errno(err, "cannot copy '%s'", from);
    return rename(fresh, to) == 0 || err_errno(err, "cannot rename '%s'", fresh);
}

/* They are there all along: steps that went on while naru was restarted start them, too. */
static bool
link_all(const char *data_dir, const char *program, struct err *err)
{
    static const char *const names[] = {"aws", "docker", "naru"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        cleanup_free char *path = text_format("%s/bin/%s", data_dir, names[i]);
        cleanup_free char *fresh = text_format("%s.new", path);
        if (unlink(fresh) < 0 && errno != ENOENT)
            return err_errno(err, "cannot replace '%s'", fresh);
        if (symlink(program, fresh) < 0)
            return err_errno(err, "cannot link '%s'", fresh);
        if (rename(fresh, path) < 0)
            return err_errno(err, "cannot rename '%s'", fresh);
    }
    return true;
}

bool
tools_link(const char *data_dir, struct err *err)
{
    cleanup_free char *own = text_format("%s/bin/program", data_dir);
    char self[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (len < 0)
        return err_errno(err, "cannot read /proc/self/exe");
    self[len] = '\0';
    if (is_reachable(self))
        return link_all(data_dir, self, err);
    return copy(self, own, err) && link_all(data_dir, own, err);
}
