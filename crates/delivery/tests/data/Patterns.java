// Prints patterns.tsv: what Java's DateTimeFormatter makes of patterns. Run with Java 17 or later:
//   java Patterns.java > patterns.tsv
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

class Patterns {
    public static void main(String[] args) {
        String[] moments = {
            "2026-07-13T14:05:09.123Z Etc/UTC",           // a Monday
            "2026-12-31T00:00:00Z UTC",                   // Thursday of a week that holds 1 January
            "2026-12-26T23:59:59.999Z UTC",               // the Saturday before
            "2023-01-01T12:00:00Z UTC",                   // a Sunday
            "2022-01-01T05:07:00.050Z UTC",               // a Saturday
            "2022-01-02T18:30:00Z UTC",
            "2024-02-29T20:59:59Z UTC",
            "2024-12-31T21:00:00Z UTC",
            "2026-03-01T06:00:00Z UTC",
            "2026-07-13T14:05:09.123Z Asia/Calcutta",
            "2026-07-13T14:05:09.123Z America/New_York",
            "2026-01-13T04:05:09.123Z America/New_York",
            "2026-10-04T00:00:59.001Z Australia/Lord_Howe",
            "2026-11-20T23:30:00Z Pacific/Chatham",
            "2026-05-05T17:45:00Z Asia/Katmandu",
        };
        String[] patterns = {
            "y yy yyy yyyy yyyyy yyyyyy", "u uu uuu uuuu uuuuu", "Y YY YYY YYYY YYYYY",
            "M MM MMM MMMM MMMMM", "L LL LLL LLLL LLLLL", "Q QQ QQQ QQQQ QQQQQ", "q qq qqq qqqq qqqqq",
            "D DD DDD", "d dd", "w ww W F", "E EE EEE EEEE EEEEE", "e ee eee eeee eeeee", "c ccc cccc ccccc",
            "a B BBBB BBBBB", "H HH k kk K KK h hh", "m mm s ss", "S SS SSS SSSS SSSSSSSSS", "n nnnnnnnnnnnn A N g ggggggg",
            "G GG GGG GGGG GGGGG", "VV", "X XX XXX XXXX XXXXX", "x xx xxx xxxx xxxxx", "Z ZZ ZZZ ZZZZ ZZZZZ", "O OOOO",
            "ppd|pppH|ppppMMM|pppppppppEEEE", "[yyyy][/MM[/dd", "'year='yyyy''MM'it''s'", "yyyy_MM=dd:HH,;年",
            "yyyy'-'MM'-'dd", "yyyy/MM/dd/HH/", "YYYY-'W'ww-e",
        };
        String[] refused = {
            "b", "f", "C", "I", "J", "P", "R", "T", "U", "V", "VVV", "i", "j", "l", "o", "p", "pp", "pp-", "r", "t", "ddd", "HHH",
            "kkk", "KKK", "hhh", "mmm", "sss", "www", "WW", "FF", "aa", "BB", "BBBBBB", "DDDD", "SSSSSSSSSS", "MMMMMM",
            "LLLLLL", "QQQQQQ", "EEEEEE", "cc", "eeeeee", "GGGGGG", "OO", "OOO", "XXXXXX", "xxxxxx", "ZZZZZZ", "zzzzz",
            "yyyyyyyyyyyyyyyyyyyy", "'", "yyyy'", "]", "[yyyy]]", "{", "}", "#",
        };
        for (String moment : moments) {
            Instant at = Instant.parse(moment.split(" ")[0]);
            ZoneId zone = ZoneId.of(moment.split(" ")[1].replace("Etc/", ""));
            for (String pattern : patterns) {
                String made = DateTimeFormatter.ofPattern(pattern, Locale.US).withZone(zone).format(at);
                System.out.println(at.toEpochMilli() + "\t" + zone + "\t" + pattern + "\t" + made);
            }
        }
        for (String pattern : refused) {
            try {
                DateTimeFormatter.ofPattern(pattern, Locale.US);
                throw new AssertionError(pattern);
            } catch (IllegalArgumentException refusal) {
                System.out.println("0\tUTC\t" + pattern + "\t(refused)");
            }
        }
    }
}
