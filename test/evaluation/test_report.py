from irvis_fusion_ros.evaluation import report

COLUMNS = (('pairs', lambda s: s['pairs'], 'd'), ('px', lambda s: s['error'], '.2f'))
SUMMARIES = [
    {'protocol': 'fr', 'preset': 'identity', 'pairs': 3, 'error': 12.345},
    {'protocol': 'natural', 'preset': 'x', 'pairs': 10, 'error': None},
]


def test_plain_table_is_aligned():
    assert report.table(SUMMARIES, COLUMNS).splitlines() == [
        'protocol  preset    pairs     px',
        'fr        identity      3  12.35',
        'natural   x            10      -',
    ]


def test_markdown_table():
    assert report.table(SUMMARIES, COLUMNS, markdown=True).splitlines() == [
        '| protocol | preset   | pairs |    px |',
        '| -------- | -------- | ----: | ----: |',
        '| fr       | identity |     3 | 12.35 |',
        '| natural  | x        |    10 |     - |',
    ]
