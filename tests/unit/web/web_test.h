/* What the unit tests of web/ include. */
#ifndef WEB_TEST_H
#define WEB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"

#define ORIGIN "ovra.example/haiti/1-0123456789abcdef"
#define BRANCH ORIGIN "~0123456789abcdef0123456789abcdef"

#endif
