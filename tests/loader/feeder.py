"""A tap for the crash tests: two streams, a STATE after every 200 rows of each."""

import sys

PROPERTIES = '{"n":{"type":"integer"},"text":{"type":"string"}}'
SCHEMA = '{"type":"SCHEMA","stream":"%s","schema":{"properties":' + PROPERTIES + '},"key_properties":%s}'


def main(start: int, rows: int) -> None:
    out = sys.stdout
    out.write(SCHEMA % ("log", "[]") + "\n" + SCHEMA % ("keyed", '["n"]') + "\n")
    for page in range(start, rows, 200):
        for stream in ("log", "keyed"):
            for n in range(page, page + 200):
                out.write(f'{{"type":"RECORD","stream":"{stream}","record":{{"n":{n},"text":"row {n}"}}}}\n')
        out.write(f'{{"type":"STATE","value":{{"next":{page + 200}}}}}\n')


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
