/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/json.h"
#include "base/random.h"
#include "io/file.h"
#include "io/http_server.h"
#include "pipeline/build_key.h"

struct option_row {
    const char *option;   /* NULL: only in the environment */
    const char *variable; /* NULL: only as an option */
    const char *fallback;
    size_t offset, size;
};

#define BODY_BYTES_MIN ((int64_t)8 << 20)

#define ROW(option, variable, fallback, member)                                                    \
    {option, variable, fallback, offsetof(struct config, member), sizeof(((struct config *)0)->member)}

static const struct option_row option_rows[] = {
    ROW("--data-dir", "NARU_DATA_DIR", "/var/lib/naru", data_dir),
    ROW("--listen", "NARU_LISTEN", "127.0.0.1", listen),
    ROW("--region", "NARU_REGION", "", region),
    ROW(NULL, "NARU_ACCOUNT_ID", "", account),
    ROW("--docker-socket", "NARU_DOCKER_SOCKET", "", docker_socket),
    ROW(NULL, "NARU_HAPROXY", "", haproxy),
    ROW(NULL, "NARU_GPU_DIRECTORY", "/proc/driver/nvidia/gpus", gpu_directory),
    ROW("--listener-address", "NARU_LISTENER_ADDRESS", "0.0.0.0", balancer_address),
    ROW("--hooks-dir", "NARU_HOOKS_DIR", "", hooks_dir),
    ROW("--build-role", "NARU_BUILD_ROLE", BUILD_ROLE_DEFAULT, build_role),
    ROW("--registry-quota", "NARU_REGISTRY_QUOTA", "0", registry_quota_text),
    ROW("--connections-per-address", "NARU_CONNECTIONS_PER_ADDRESS", "128", per_address_text),
    ROW("--body-memory", "NARU_BODY_MEMORY", "256M", body_bytes_text),
    ROW("--trusted-addresses", "NARU_TRUSTED_ADDRESSES", HTTP_TRUSTED, trusted_addresses),
    ROW("--proxies", "NARU_PROXIES", "", proxies),
    ROW("--prefetch", "NARU_PREFETCH", "on", prefetch),
    ROW("--tls-certificate", "NARU_TLS_CERTIFICATE", "", tls_certificate),
    ROW("--tls-key", "NARU_TLS_KEY", "", tls_key),
    ROW("--tls-names", "NARU_TLS_NAMES", "", tls_names),
    ROW(NULL, "NARU_GITHUB_SECRET", "", github_secret),
    ROW(NULL, "NARU_GITHUB_API_URL", "", github_api_url),
    ROW(NULL, "NARU_ACCESS_KEY_ID", "", access_key_id),
    ROW(NULL, "NARU_SECRET_ACCESS_KEY", "", secret_access_key),
};

static bool
set_row(struct config *c, const struct option_row *row, const char *value, struct err *err)
{
    const char *name = row->option != NULL ? row->option : row->variable;

    if (!text_copy((char *)c + row->offset, row->size, str_of(value)))
        return err_set(err, ERR_USAGE, "the value of %s is too long (at most %zu bytes)", name, row->size - 1);
    return true;
}

static bool
set_port(struct config *c, const char *text, struct err *err)
{
    int64_t port;

    if (!str_to_i64(str_of(text), &port) || port < 1 || port > 65535)
        return err_set(err, ERR_USAGE, "'%s' is not a port (1 to 65535)", text);
    c->port = (unsigned)port;
    return true;
}

static bool
set_option(struct config *c, const char *option, const char *value, struct err *err)
{
    if (strcmp(option, "--port") == 0)
        return set_port(c, value, err);
    for (size_t i = 0; i < ARRAY_COUNT(option_rows); i++)
        if (option_rows[i].option != NULL && strcmp(option_rows[i].option, option) == 0)
            return set_row(c, &option_rows[i], value, err);
    return err_set(err, ERR_USAGE, "unknown option '%s'; see 'naru server --help'", option);
}

static bool
check_account(const struct config *c, struct err *err)
{
    size_t digits = strspn(c->account, "0123456789");

    if (digits != 12 || c->account[12] != '\0')
        return err_set(err, ERR_USAGE, "NARU_ACCOUNT_ID '%s' is not twelve digits", c->account);
    return true;
}

static bool
size_read(const char *name, const char *text, int64_t *out, struct err *err)
{
    return str_to_size(str_of(text), out) ||
           err_set(err, ERR_USAGE, "the value '%s' of %s is no size, such as 50G", text, name);
}

static bool
seconds_read(const char *name, int64_t *out, struct err *err)
{
    const char *text = getenv(name);

    *out = 3600;
    return text == NULL || (str_to_i64(str_of(text), out) && *out >= 1 && *out <= 30LL * 86400) ||
           err_set(err, ERR_USAGE, "%s is a number of seconds (1 to 2592000)", name);
}

static bool
set_registry(struct config *c, struct err *err)
{
    return size_read("--registry-quota", c->registry_quota_text, &c->registry_quota, err) &&
           seconds_read("NARU_REGISTRY_COLLECT_SECONDS", &c->registry_collect_s, err) &&
           seconds_read("NARU_REGISTRY_KEEP_SECONDS", &c->registry_keep_s, err);
}

static bool
set_limits(struct config *c, struct err *err)
{
    int64_t count;

    if (!str_to_i64(str_of(c->per_address_text), &count) || count < 0 || count > HTTP_CONNECTIONS_MAX)
        return err_set(err, ERR_USAGE, "'%s' is no number of connections (0 to %u)", c->per_address_text,
                       HTTP_CONNECTIONS_MAX);
    c->per_address = (unsigned)count;
    if (!size_read("--body-memory", c->body_bytes_text, &c->body_bytes, err))
        return false;
    return c->body_bytes >= BODY_BYTES_MIN ||
           err_set(err, ERR_USAGE, "--body-memory is at least 8M: a request of a megabyte takes a quarter of it");
}

static bool
check_prefetch(const struct config *c, struct err *err)
{
    return strcmp(c->prefetch, "on") == 0 || strcmp(c->prefetch, "off") == 0 ||
           err_set(err, ERR_USAGE, "the value '%s' of --prefetch is neither on nor off", c->prefetch);
}

/* The steps of builds work elsewhere: a relative path would mean another place there. */
static bool
make_absolute(struct config *c, struct err *err)
{
    char here[sizeof(c->data_dir)];

    if (c->data_dir[0] == '/')
        return true;
    if (c->data_dir[0] == '\0')
        return err_set(err, ERR_USAGE, "the data directory has no name");
    if (getcwd(here, sizeof(here)) == NULL)
        return err_errno(err, "cannot tell which directory this is");
    cleanup_free char *path = text_format("%s/%s", here, c->data_dir);
    return text_copy(c->data_dir, sizeof(c->data_dir), str_of(path)) ||
           err_set(err, ERR_USAGE, "the path of the data directory '%s' is too long", path);
}

/* They stand in every ARN, so an installation keeps those that it was last started with: with others nothing of
 * what it has would be found. A file that cannot be read is named by config_open_data(). */
static void
set_place(struct config *c)
{
    cleanup_free char *path = text_format("%s/credentials.json", c->data_dir);
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *doc = NULL;

    if (file_read(path, 65536, &text, NULL))
        doc = json_parse(strbuf_str(&text), NULL);
    if (c->account[0] == '\0')
        text_copy(c->account, sizeof(c->account), str_of(json_get_cstr(doc, "account", "000000000000")));
    if (c->region[0] == '\0')
        text_copy(c->region, sizeof(c->region), str_of(json_get_cstr(doc, "region", "ap-northeast-2")));
}

static bool
set_docker_socket(struct config *c, struct err *err)
{
    const char *host = getenv("DOCKER_HOST");

    if (c->docker_socket[0] != '\0')
        return true;
    if (host != NULL && strncmp(host, "unix://", 7) != 0)
        return err_set(err, ERR_USAGE, "DOCKER_HOST '%s' is no unix socket; naru needs unix:///path", host);
    text_copy(c->docker_socket, sizeof(c->docker_socket),
              str_of(host != NULL ? host + 7 : "/var/run/docker.sock"));
    return true;
}

bool
config_parse(struct config *c, int argc, char **argv, struct err *err)
{
    const char *port = getenv("NARU_PORT");

    memset(c, 0, sizeof(*c));
    c->port = 4566;
    if (port != NULL && !set_port(c, port, err))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(option_rows); i++) {
        const char *value = option_rows[i].variable != NULL ? getenv(option_rows[i].variable) : NULL;

        if (!set_row(c, &option_rows[i], value != NULL ? value : option_rows[i].fallback, err))
            return false;
    }
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        char name[64];

        if (strcmp(argv[i], "--verbose") == 0) {
            c->is_verbose = true;
        } else if (equals != NULL) {
            if (!text_copy(name, sizeof(name), str_range(argv[i], equals)) ||
                !set_option(c, name, equals + 1, err))
                return false;
        } else if (i + 1 < argc) {
            if (!set_option(c, argv[i], argv[i + 1], err))
                return false;
            i++;
        } else {
            return err_set(err, ERR_USAGE, "option '%s' is unknown or lacks its value", argv[i]);
        }
    }
    if (!make_absolute(c, err))
        return false;
    set_place(c);
    snprintf(c->endpoint_url, sizeof(c->endpoint_url), "http://localhost:%u", c->port);
    if (c->hooks_dir[0] == '\0')
        snprintf(c->hooks_dir, sizeof(c->hooks_dir), "%s/hooks", c->data_dir);
    return check_account(c, err) && build_roles_check(c->build_role, err) && set_docker_socket(c, err) && set_registry(c, err) &&
           set_limits(c, err) && check_prefetch(c, err);
}

static bool
take_lock(const struct config *c, struct err *err)
{
    char path[600];
    int fd;

    snprintf(path, sizeof(path), "%s/lock", c->data_dir);
    fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "cannot open '%s'", path);
    if (file_lock(fd))
        return true; /* kept open on purpose: the lock ends with the process */
    close(fd);
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_INTERNAL,
                       "another naru already serves '%s'; 'naru down' ends it, or choose another --data-dir",
                       c->data_dir);
    return err_errno(err, "cannot lock '%s'", path);
}

/* A file of one short word, which is `made` at the first start. */
static bool
read_or_make_word(const struct config *c, const char *file, const char *made, char *out,
                  size_t size, struct err *err)
{
    char path[600];
    cleanup(strbuf_done) struct strbuf text = {0};

    snprintf(path, sizeof(path), "%s/%s", c->data_dir, file);
    if (!file_exists(path) && !file_write_atomic(path, str_of(made), 0600, err))
        return false;
    if (!file_read(path, 256, &text, err))
        return false;
    if (!text_copy(out, size, str_trim(strbuf_str(&text))) || out[0] == '\0')
        return err_set(err, ERR_INTERNAL, "'%s' does not hold a word of at most %zu bytes", path,
                       size - 1);
    return true;
}

static bool
read_or_make_id(struct config *c, struct err *err)
{
    char made[17];

    random_hex(made, 16);
    if (!read_or_make_word(c, "installation", made, c->installation, sizeof(c->installation), err))
        return false;
    return strspn(c->installation, "0123456789abcdef") == 16 ||
           err_set(err, ERR_INTERNAL, "'%s/installation' does not hold 16 hex digits", c->data_dir);
}

/* Its instances keep the name by which they were registered: under another one the machine would be
 * there twice, and its room with it. */
static bool
read_or_make_host(struct config *c, struct err *err)
{
    char made[sizeof(c->host)] = "";

    if (gethostname(made, sizeof(made) - 1) < 0 || made[0] == '\0')
        snprintf(made, sizeof(made), "localhost");
    return read_or_make_word(c, "host", made, c->host, sizeof(c->host), err);
}

static void
make_keys(struct config *c)
{
    if (c->access_key_id[0] == '\0') {
        char hex[17];

        random_hex(hex, 16);
        for (char *p = hex; *p != '\0'; p++)
            *p = (char)toupper((unsigned char)*p);
        snprintf(c->access_key_id, sizeof(c->access_key_id), "AKIA%s", hex);
    }
    if (c->secret_access_key[0] == '\0')
        random_token(c->secret_access_key, 40);
}

/* It stands in every ARN and in what containers are told by: with another one nothing of what is here would be found,
 * while all of it goes on running. */
static bool
check_same_account(const struct config *c, const struct json *doc, struct err *err)
{
    const char *before = json_get_cstr(doc, "account", c->account);

    return strcmp(before, c->account) == 0 ||
           err_set(err, ERR_USAGE,
                   "what is in '%s' belongs to account %s, and NARU_ACCOUNT_ID is %s: unset it, or choose another "
                   "--data-dir", c->data_dir, before, c->account);
}

static bool
read_keys(struct config *c, const char *path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *doc = NULL;

    if (!file_read(path, 65536, &text, err))
        return false;
    doc = json_parse(strbuf_str(&text), err);
    if (doc == NULL)
        return err_context(err, "%s", path);
    if (!check_same_account(c, doc, err))
        return false;
    if (c->access_key_id[0] == '\0' || c->secret_access_key[0] == '\0') {
        text_copy(c->access_key_id, sizeof(c->access_key_id), str_of(json_get_cstr(doc, "access_key_id", "")));
        text_copy(c->secret_access_key, sizeof(c->secret_access_key),
                  str_of(json_get_cstr(doc, "secret_access_key", "")));
    }
    if (c->access_key_id[0] == '\0' || c->secret_access_key[0] == '\0')
        return err_set(err, ERR_INTERNAL, "'%s' holds no keys; remove it to have new ones made", path);
    return true;
}

/* Written at every start: the port or the region may have changed. */
static bool
write_credentials(const struct config *c, const char *path, struct err *err)
{
    cleanup_json struct json *doc = json_object();
    cleanup_free char *text = NULL;

    json_set(doc, "endpoint_url", json_text(c->endpoint_url));
    json_set(doc, "access_key_id", json_text(c->access_key_id));
    json_set(doc, "secret_access_key", json_text(c->secret_access_key));
    json_set(doc, "region", json_text(c->region));
    json_set(doc, "account", json_text(c->account));
    json_set(doc, "installation", json_text(c->installation));
    json_set(doc, "docker_socket", json_text(c->docker_socket));
    text = json_format_pretty(doc);
    return file_write_atomic(path, str_of(text), 0600, err);
}

/* Builds have users of their own, who have to get to their workspaces, and to nothing else. */
static const struct {
    const char *name;
    unsigned mode;
} data_folders[] = {{"blobs", 0700},   {"builds", 0700}, {"registry", 0700}, {"git", 0711},
                    {"haproxy", 0755}, {"log", 0755},    {"bin", 0755}};

/* One that is there may be of a naru that made it open to all; what is not ours stays as it is. */
static bool
make_folder(const char *path, unsigned mode, struct err *err)
{
    if (!file_make_dirs(path, mode, err))
        return false;
    if (chmod(path, (mode_t)mode) != 0 && errno != EPERM)
        return err_errno(err, "cannot set the mode of '%s'", path);
    return true;
}

bool
config_open_data(struct config *c, struct err *err)
{
    char path[600];

    if (!make_folder(c->data_dir, 0711, err))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(data_folders); i++) {
        snprintf(path, sizeof(path), "%s/%s", c->data_dir, data_folders[i].name);
        if (!make_folder(path, data_folders[i].mode, err))
            return false;
    }
    if (!take_lock(c, err) || !read_or_make_id(c, err) || !read_or_make_host(c, err))
        return false;
    snprintf(path, sizeof(path), "%s/credentials.json", c->data_dir);
    if (!file_exists(path))
        make_keys(c);
    else if (!read_keys(c, path, err))
        return false;
    return write_credentials(c, path, err);
}
