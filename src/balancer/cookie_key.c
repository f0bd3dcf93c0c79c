/* SPDX-License-Identifier: MIT */
#include "balancer/cookie_key.h"
#include "base/crypto.h"
#include "base/random.h"
#include "io/file.h"

static bool
is_key(struct str text)
{
    unsigned char ignored[COOKIE_KEY_SIZE / 2];

    return text.len == COOKIE_KEY_SIZE - 1 && hex_decode(text, ignored);
}

bool
cookie_key_read(const char *folder, char out[static COOKIE_KEY_SIZE], struct err *err)
{
    cleanup_free char *path = text_format("%s/cookie.key", folder);
    cleanup(strbuf_done) struct strbuf text = {0};

    if (file_exists(path)) {
        if (!file_read(path, 1024, &text, err))
            return false;
        if (is_key(str_trim(strbuf_str(&text))))
            return text_copy(out, COOKIE_KEY_SIZE, str_trim(strbuf_str(&text)));
        /* A new one would send every sticky client elsewhere, in silence. */
        return err_set(err, ERR_INTERNAL, "'%s' holds no key of %d hex digits; remove it to get a new one", path,
                       COOKIE_KEY_SIZE - 1);
    }
    random_hex(out, COOKIE_KEY_SIZE - 1);
    return file_write_atomic(path, str_of(out), 0600, err);
}
