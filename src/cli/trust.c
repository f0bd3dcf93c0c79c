/* SPDX-License-Identifier: MIT */
/* naru trust docker: makes Docker on this machine believe naru's own certificate, by a file that it
 * reads with each connection; nothing is restarted. */
#include <errno.h>
#include <unistd.h>

#include "cli/commands.h"
#include "io/file.h"

#define PEM_MAX (256 << 10)

struct trust_command {
    const char *directory, *data_dir;
    bool removes;
};

/* It becomes a folder's name. */
static bool
host_check(const char *host, struct err *err)
{
    const size_t good =
        strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]");

    return (host[0] != '\0' && host[0] != '.' && host[good] == '\0' && strlen(host) < 256) ||
           err_set(err, ERR_USAGE, "'%.100s' is no HOST:PORT, as in an image's name", host);
}

static bool
install(const char *folder, const char *file, struct str authority, struct err *err)
{
    cleanup(strbuf_done) struct strbuf now = {0};

    const bool is_there = file_exists(file);

    if (is_there && !file_read(file, PEM_MAX, &now, err))
        return false;
    if (is_there && str_equal(strbuf_str(&now), authority)) {
        printf("%s is there already\n", file);
        return true;
    }
    if (now.len > 0)
        return err_set(err, ERR_VALIDATION, "'%s' is of another authority; remove it first", file);
    if (!file_make_dirs(folder, 0755, err) || !file_write_atomic(file, authority, 0644, err))
        return false;
    printf("wrote %s: Docker trusts this naru from now on, without a restart\n", file);
    return true;
}

/* Only what this naru wrote. */
static bool
take_away(const char *folder, const char *file, struct str authority, struct err *err)
{
    cleanup(strbuf_done) struct strbuf now = {0};

    if (!file_exists(file)) {
        printf("%s is not there\n", file);
        return true;
    }
    if (!file_read(file, PEM_MAX, &now, err))
        return false;
    if (!str_equal(strbuf_str(&now), authority))
        return err_set(err, ERR_VALIDATION, "'%s' is of another authority and stays", file);
    if (unlink(file) < 0)
        return err_errno(err, "cannot remove '%s'", file);
    rmdir(folder); /* if nothing else is in it */
    printf("removed %s: Docker does not trust this naru any more\n", file);
    return true;
}

static bool
trust_docker(const struct trust_command *c, const char *host, struct err *err)
{
    cleanup(strbuf_done) struct strbuf authority = {0};
    cleanup_free char *source = text_format("%s/tls/ca.crt", client_data_dir(c->data_dir));
    cleanup_free char *folder = text_format("%s/%s", c->directory, host);
    cleanup_free char *file = text_format("%s/ca.crt", folder);

    if (!host_check(host, err))
        return false;
    if (!file_exists(source))
        return err_set(
            err, ERR_NOT_FOUND,
            "there is no '%s': start the server with --tls-names, or trust the authority of your "
            "own certificate yourself",
            source);
    if (!file_read(source, PEM_MAX, &authority, err))
        return false;
    return (c->removes ? take_away : install)(folder, file, strbuf_str(&authority), err);
}

int
command_trust(int argc, char **argv)
{
    struct trust_command c = {.directory = "/etc/docker/certs.d"};
    const struct option_row rows[] = {{"remove", 0, OPTION_FLAG, &c.removes},
                                      {"directory", 0, OPTION_TEXT, &c.directory},
                                      {"data-dir", 0, OPTION_TEXT, &c.data_dir},
                                      {0}};
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 32, &status);

    if (count < 0)
        return status;
    if (count < 2 || strcmp(argv[1], "docker") != 0) {
        err_set(&err, ERR_USAGE, "naru trust docker HOST:PORT ... [--remove]");
        return cli_fail(&err);
    }
    for (int i = 2; i <= count; i++)
        if (!trust_docker(&c, argv[i], &err))
            return cli_fail(&err);
    return EXIT_LIVE;
}
