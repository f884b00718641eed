"""SQLAlchemy: an order and its message in one session, in PostgreSQL, or in MariaDB or MySQL by SHOP_URL.
sqlalchemy_orm.py PAYLOAD commit|rollback"""
import os
import sys

from sqlalchemy import BigInteger, Column, Text, create_engine
from sqlalchemy.orm import Session, declarative_base

Base = declarative_base()


class Order(Base):
    __tablename__ = "orders"
    id = Column(BigInteger, primary_key=True)
    item = Column(Text, nullable=False)
    note = Column(Text, nullable=False)


class Outbox(Base):
    __tablename__ = "outbox_new"  # the view that takes INSERT … RETURNING
    id = Column(BigInteger, primary_key=True)
    routing_key = Column(Text, nullable=False)
    key = Column(Text)
    content_type = Column(Text)
    payload_text = Column(Text)


payload, outcome = sys.argv[1:]
url = os.environ.get("SHOP_URL", "postgresql+psycopg2://")  # the PG* variables say where
with Session(create_engine(url)) as session:
    order = Order(item="chair", note=outcome)
    session.add(order)
    session.flush()
    session.add(Outbox(routing_key="order.placed", key=f"order-{order.id}", content_type="application/json", payload_text=payload))
    session.flush()
    if outcome == "commit":
        session.commit()
    else:
        session.rollback()
