#include "relay/mysql/datetime.h"

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"

#define TEXT_BYTES 19 /* without a fraction */
#define FRACTION_DIGITS 6

/* Days since 1970 of a date in the Gregorian calendar, also for dates before its introduction. March counts as the
 * first month, so that the additional day of a leap year is the last day of its year. */
static int64_t
days_since_1970(int64_t year, int64_t month, int64_t day)
{
    const int64_t shifted = month > 2 ? month - 3 : month + 9;
    const int64_t from_march = month > 2 ? year : year - 1;
    const int64_t leap_days = from_march / 4 - from_march / 100 + from_march / 400;
    return 365 * from_march + leap_days + (153 * shifted + 2) / 5 + day - 1 - 719468;
}

int64_t
my_datetime_us(const struct my_datetime *datetime)
{
    if (datetime->year == 0 || datetime->month == 0 || datetime->day == 0) {
        return INT64_MIN;
    }
    const int64_t days = days_since_1970(datetime->year, datetime->month, datetime->day);
    const int64_t minutes = (days * 24 + datetime->hour) * 60 + datetime->minute;
    return (minutes * 60 + datetime->second) * (int64_t)CLOCK_S_US + datetime->us;
}

/* The number; -1 if there is a character other than a digit. */
static int64_t
digits_at(const char *text, size_t count)
{
    int64_t number = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        number = 10 * number + (text[i] - '0');
    }
    return number;
}

/* Digits after the sixth are ignored. -1 if it is no fraction. */
static int64_t
fraction_us(const char *text, size_t size)
{
    char digits[FRACTION_DIGITS] = {'0', '0', '0', '0', '0', '0'};
    if (size > 0 && text[0] != '.') {
        return -1;
    }
    for (size_t i = 1; i < size && i <= FRACTION_DIGITS; i++) {
        digits[i - 1] = text[i];
    }
    return digits_at(digits, FRACTION_DIGITS);
}

int64_t
my_datetime_text_us(const char *text, size_t size)
{
    if (size < TEXT_BYTES || text[4] != '-' || text[7] != '-' || text[10] != ' ' ||
        text[13] != ':' || text[16] != ':') {
        return INT64_MIN;
    }
    const struct my_datetime datetime = {
        .year = digits_at(text, 4),
        .month = digits_at(text + 5, 2),
        .day = digits_at(text + 8, 2),
        .hour = digits_at(text + 11, 2),
        .minute = digits_at(text + 14, 2),
        .second = digits_at(text + 17, 2),
        .us = fraction_us(text + TEXT_BYTES, size - TEXT_BYTES),
    };
    const bool good = datetime.year >= 0 && datetime.month >= 0 && datetime.month <= 12 &&
                      datetime.day >= 0 && datetime.hour >= 0 && datetime.minute >= 0 &&
                      datetime.second >= 0 && datetime.us >= 0;
    return good ? my_datetime_us(&datetime) : INT64_MIN;
}
