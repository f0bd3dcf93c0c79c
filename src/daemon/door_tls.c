/* SPDX-License-Identifier: MIT */
#include "daemon/door_tls.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/x509.h"
#include "io/file.h"

#define PEM_MAX (256 << 10)

static bool
read_pair(const char *certificate, const char *key, struct x509_made *out, struct err *err)
{
    return file_read(certificate, PEM_MAX, &out->certificate, err) &&
           file_read(key, PEM_MAX, &out->private_key, err);
}

static bool
write_pair(const char *certificate, const char *key, const struct x509_made *made, struct err *err)
{
    return file_write_atomic(key, strbuf_str(&made->private_key), 0600, err) &&
           file_write_atomic(certificate, strbuf_str(&made->certificate), 0644, err);
}

/* What OpenSSL would not serve is told now, with the reason, and not by a client tonight. */
static bool
check_pair(const struct x509_made *made, struct err *err)
{
    cleanup(strbuf_done) struct strbuf bundle = {0};
    char fingerprint[41];

    strbuf_add(&bundle, strbuf_str(&made->certificate));
    strbuf_add_char(&bundle, '\n');
    strbuf_add(&bundle, strbuf_str(&made->private_key));
    const bool done = x509_is_servable(strbuf_str(&bundle), fingerprint, err);
    explicit_bzero(bundle.at, bundle.len);
    return done;
}

static bool
authority_open(const char *folder, struct x509_made *out, struct err *err)
{
    cleanup_free char *certificate = text_format("%s/ca.crt", folder);
    cleanup_free char *key = text_format("%s/ca.key", folder);
    char host[256] = "";

    if (file_exists(certificate))
        return read_pair(certificate, key, out, err);
    if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
        snprintf(host, sizeof(host), "this machine");
    cleanup_free char *name = text_format("naru authority of %.40s", host);
    if (!x509_make_authority(name, out, err) || !write_pair(certificate, key, out, err))
        return false;
    log_info("tls.authority_made", "certificate=%s", log_quote(certificate));
    return true;
}

static bool
made_open(const struct config *c, struct x509_made *out, struct err *err)
{
    cleanup(x509_made_done) struct x509_made authority = {0};
    cleanup_free char *folder = text_format("%s/tls", c->data_dir);
    cleanup_free char *certificate = text_format("%s/server.crt", folder);
    cleanup_free char *key = text_format("%s/server.key", folder);
    const struct str names = str_of(c->tls_names);

    if (!file_make_dirs(folder, 0755, err) || !authority_open(folder, &authority, err))
        return false;
    if (file_exists(certificate)) {
        if (!read_pair(certificate, key, out, err))
            return false;
        if (x509_is_made_for(strbuf_str(&out->certificate), strbuf_str(&authority.certificate),
                             names, clock_wall_ms()))
            return true;
    }
    if (!x509_make_server(&authority, names, out, err) || !write_pair(certificate, key, out, err))
        return false;
    log_info("tls.certificate_made", "names=%s", log_quote(c->tls_names));
    return true;
}

bool
door_tls_open(const struct config *c, bool *wanted_out, struct x509_made *out, struct err *err)
{
    const bool has_certificate = c->tls_certificate[0] != '\0', has_key = c->tls_key[0] != '\0';

    *wanted_out = has_certificate || has_key || c->tls_names[0] != '\0';
    if (!*wanted_out)
        return true;
    if (has_certificate != has_key)
        return err_set(err, ERR_USAGE, "--tls-certificate and --tls-key go together");
    if (has_certificate && c->tls_names[0] != '\0')
        return err_set(
            err, ERR_USAGE,
            "--tls-names is for a certificate that naru makes; --tls-certificate has its own");
    if (!(has_certificate ? read_pair(c->tls_certificate, c->tls_key, out, err)
                          : made_open(c, out, err)))
        return false;
    return check_pair(out, err) || err_context(err, "the certificate of naru's port");
}
