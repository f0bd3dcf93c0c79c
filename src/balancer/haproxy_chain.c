/* SPDX-License-Identifier: MIT */
#include "balancer/haproxy_text.h"

/* Certificates as DER, one behind the other, to PEM as in a URL: lines of 64, "+=/" as they are. */
static const char script[] =
    "-- Written by naru; changes are lost.\n"
    "local digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'\n"
    "\n"
    "local function base64(s)\n"
    "  local out = {}\n"
    "  for i = 1, #s, 3 do\n"
    "    local a, b, c = s:byte(i, i + 2)\n"
    "    local n = a << 16 | (b or 0) << 8 | (c or 0)\n"
    "    for k = 0, 3 do\n"
    "      local d = (n >> (18 - 6 * k) & 63) + 1\n"
    "      out[#out + 1] = k > #s - i + 1 and '=' or digits:sub(d, d)\n"
    "    end\n"
    "  end\n"
    "  return table.concat(out)\n"
    "end\n"
    "\n"
    "-- How long the certificate at `at` is, with its head; nil: it is none.\n"
    "local function length(der, at)\n"
    "  local tag, size = der:byte(at, at + 1)\n"
    "  if tag ~= 0x30 or not size then return nil end\n"
    "  if size < 0x80 then return size + 2 end\n"
    "  local count = size & 0x7f\n"
    "  if count < 1 or count > 3 or at + 1 + count > #der then return nil end\n"
    "  size = 0\n"
    "  for i = 1, count do size = size << 8 | der:byte(at + 1 + i) end\n"
    "  return size + 2 + count\n"
    "end\n"
    "\n"
    "-- In hexadecimal digits: of bytes HAProxy gives those before the first zero only.\n"
    "core.register_converters('pem_in_url', function(hex)\n"
    "  local der = hex:gsub('..', function(two) return string.char(tonumber(two, 16)) end)\n"
    "  local out, at = {}, 1\n"
    "  while at <= #der do\n"
    "    local size = length(der, at)\n"
    "    if not size or at + size - 1 > #der then return '' end\n"
    "    local body = base64(der:sub(at, at + size - 1)):gsub(('.'):rep(64), '%0%%0A'):gsub('%%0A$', '')\n"
    "    out[#out + 1] = '-----BEGIN%20CERTIFICATE-----%0A' .. body .. '%0A-----END%20CERTIFICATE-----%0A'\n"
    "    at = at + size\n"
    "  end\n"
    "  return table.concat(out)\n"
    "end)\n";

struct str
haproxy_config_chain_script(void)
{
    return STR(script);
}
