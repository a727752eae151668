"""Orders with planted faults, made by Spark from a row number alone: the same rows on every machine, at any size.

Eighteen columns of the usual kinds. About one row in a hundred breaks some rule, spread evenly; one order id in a
hundred thousand occurs twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

COUNTRIES = ("DE", "FR", "GB", "NL", "NO", "PL", "SE", "US")
STATUSES = ("new", "paid", "packed", "shipped", "delivered", "returned")


def _pick(words: tuple[str, ...], seed: str) -> str:
    values = ", ".join(f"'{word}'" for word in words)
    return f"element_at(array({values}), cast(pmod(xxhash64(id, '{seed}'), {len(words)}) + 1 as int))"


def _noise(seed: str, span: int) -> str:
    return f"pmod(xxhash64(id, '{seed}'), {span})"


#: Each column as SQL over the row number `id`.
COLUMNS = {
    "order_id": "if(id % 100000 = 7, id - 1, id)",
    "customer_id": _noise("customer", 1_000_000),
    "order_date": f"date_add(date'2024-01-01', cast({_noise('day', 366)} as int))",
    "ship_date": f"date_add(date'2024-01-01', cast({_noise('day', 366)} + if(id % 1009 = 3, -5, {_noise('ship', 9)}) as int))",
    "created_at": f"timestamp_micros(1704067200000000 + {_noise('moment', 31_622_400)} * 1000000)",
    "country": f"if(id % 1511 = 5, 'XX', {_pick(COUNTRIES, 'country')})",
    "status": f"if(id % 2003 = 11, 'lost', {_pick(STATUSES, 'status')})",
    "email": f"if(id % 503 = 2, 'nobody', concat('user', {_noise('customer', 1_000_000)}, '@example.com'))",
    "phone": f"concat('+49', lpad({_noise('phone', 1_000_000_000)}, 9, '0'))",
    "sku": f"if(id % 997 = 13, 'sku?', concat('SKU-', lpad({_noise('sku', 50_000)}, 6, '0')))",
    "quantity": f"cast(if(id % 701 = 1, -1, 1 + {_noise('quantity', 20)}) as int)",
    "unit_price": f"cast(100 + {_noise('price', 99_900)} as decimal(12,2)) / 100",
    "discount": f"if(id % 809 = 4, 1.5, {_noise('discount', 40)} / 100.0)",
    "weight": f"if(id % 5003 = 6, double('NaN'), 0.1 + {_noise('weight', 10_000)} / 250.0)",
    "rating": f"if(id % 3 = 0, null, cast(1 + {_noise('rating', 5)} as int))",
    "gift": f"{_noise('gift', 10)} = 0",
    "coupon": f"if(id % 5 = 0, concat('C', lpad({_noise('coupon', 1000)}, 4, '0')), null)",
    "comment": f"if(id % 601 = 8, null, concat('left at door ', {_noise('comment', 100_000)}, ' by ', {_noise('by', 1000)}))",
}

#: Twenty-seven rules: what a careful team would write for such a table.
RULES = """\
version: 1
dataset: orders
input: {path: "{{ incoming }}", format: parquet}
vars: {incoming: orders.parquet}
outputs: {root: quality-data}
columns:
  order_id: {required: true, unique: true}
  customer_id: {required: true, at_least: 0}
  order_date: {required: true, between: [2024-01-01, 2024-12-31]}
  created_at: {required: true}
  country: {required: true, in: [DE, FR, GB, NL, "NO", PL, SE, US]}
  status: {in: [new, paid, packed, shipped, delivered, returned]}
  email: {required: true, matches: '[^@ ]+@[^@ ]+\\.[a-z]{2,}'}
  phone: {matches: '\\+[0-9]{8,14}'}
  sku: {matches: 'SKU-[0-9]{6}'}
  quantity: {between: [1, 1000]}
  unit_price: {above: 0, at_most: 100000}
  discount: {between: [0, 1]}
  weight: {above: 0}
  rating: {between: [1, 5]}
  comment: {required: true}
rules:
  - that: ship_date >= order_date
    name: shipped-after-order
  - that: gift or quantity * unit_price >= 0
    name: value-not-negative
  - completeness: {column: rating, at_least: 0.5}
  - row_count: {at_least: 1}
  - mean: {column: quantity, between: [5, 15]}
  - stddev: {column: quantity, between: [1, 20]}
"""


def write(spark: SparkSession, path: Path, rows: int, extra_columns: int = 0, *, shuffled: bool = False) -> None:
    """Write `rows` orders as Parquet; `extra_columns` more doubles make the table wide; `shuffled`: in no order."""
    columns = [f"{text} as {name}" for name, text in COLUMNS.items()]
    columns += [f"{_noise(f'extra{number}', 1000)} / 10.0 as extra_{number}" for number in range(extra_columns)]
    frame = spark.range(0, rows, 1, max(2, rows // 500_000)).selectExpr(*columns)
    if shuffled:
        frame = frame.orderBy("phone", "order_id")
    frame.write.mode("overwrite").parquet(str(path))
