/* SPDX-License-Identifier: MIT */
/* seal.h - keeps texts from those who read the disk: AES-256-GCM with a random nonce in front and
 * the tag behind, and what else the text belongs to (`context`) under the tag, so that a sealed
 * text can neither be changed nor moved to another name.  Signatures of RS256 are made here, too.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define SEAL_KEY_LEN 32
#define SEAL_EXTRA 28 /* bytes that a sealed text has more */

void seal(const unsigned char key[static SEAL_KEY_LEN], struct str context, struct str text,
          struct strbuf *out);
/* ERR_ACCESS_DENIED: another key, another context, or changed. */
bool unseal(const unsigned char key[static SEAL_KEY_LEN], struct str context, struct str sealed,
            struct strbuf *out, struct err *err) MUST_CHECK;

/* A JSON Web Token of `payload` (JSON), signed by a private RSA key in PEM. */
bool jwt_rs256(struct str key_pem, struct str payload, struct strbuf *out,
               struct err *err) MUST_CHECK;
/* Overwrites memory that held a secret; the compiler may not leave it out. */
void secret_wipe(void *at, size_t len);
