/* SHA-256 of files, for provenance. */
#ifndef PELLUCID_CPL_SHA256_H
#define PELLUCID_CPL_SHA256_H

#include <cpl.h>

/* 64 hexadecimal digits, lower case, and a NUL. */
typedef char sha256_text[65];

/* Of a file as it is on disk. */
cpl_error_code sha256_file(const char *path, sha256_text text);

#endif
